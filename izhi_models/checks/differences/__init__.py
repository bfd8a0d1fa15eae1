"""What two result folders, or two models, differ in: by what they mean, not by their text."""

from izhi_models.checks.differences.compare import diff
from izhi_models.checks.differences.report import Diff, Difference

__all__ = ["Diff", "Difference", "diff"]
