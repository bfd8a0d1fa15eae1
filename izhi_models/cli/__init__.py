"""The command `izhi`. The only place that prints or exits."""

from izhi_models.cli import compare, look, simulate
from izhi_models.cli.group import commands, main

__all__ = ["commands", "compare", "look", "main", "simulate"]
