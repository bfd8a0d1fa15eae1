"""Faults planted in the translation, one at a time, to see that the checks catch them."""
