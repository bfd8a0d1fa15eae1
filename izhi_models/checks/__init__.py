"""Checks of a model and its run against the specification: `check` for one file."""

from izhi_models.checks.ladder import RUNGS, check
from izhi_models.checks.report import CheckReport, Finding, Rung

__all__ = ["RUNGS", "CheckReport", "Finding", "Rung", "check"]
