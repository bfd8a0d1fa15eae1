"""Which of NeuroML's own ComponentTypes run, found by trying each of them."""

from izhi_models.coverage.table import Coverage, Status, cover, probes
from izhi_models.coverage.write import to_json, to_markdown

__all__ = ["Coverage", "Status", "cover", "probes", "to_json", "to_markdown"]
