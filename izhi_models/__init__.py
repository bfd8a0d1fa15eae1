"""Runs NeuroML 2 and LEMS models as compiled code; the XML is the only source.

>>> model = izhi_models.load("izhikevich2003")
>>> results = model.compile().simulate("500 ms")
>>> results["RS/v"]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from izhi_models.exporting import export
    from izhi_models.importing import from_annarchy
    from izhi_models.pipeline import Model, Run, load
    from izhi_models.results import Results

__all__ = ["Model", "Results", "Run", "export", "from_annarchy", "load"]

_HOMES = {
    "Model": "pipeline",
    "Run": "pipeline",
    "export": "exporting",
    "from_annarchy": "importing",
    "load": "pipeline",
    "Results": "results",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are used: `izhi --help` needs none of them."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"izhi_models.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'izhi_models' has no attribute '{name}'")
