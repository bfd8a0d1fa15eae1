"""The meaning of a model: states, rates, conditions, events; no XML, no simulator."""
