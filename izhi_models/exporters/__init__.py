"""Networks in the forms of other tools."""
