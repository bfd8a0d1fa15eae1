"""Checks of a model and its run: `check` against the specification, `diff` against another."""

from izhi_models.checks.differences import Diff, Difference, diff
from izhi_models.checks.ladder import RUNGS, check
from izhi_models.checks.report import CheckReport, Finding, Rung

__all__ = ["RUNGS", "CheckReport", "Diff", "Difference", "Finding", "Rung", "check", "diff"]
