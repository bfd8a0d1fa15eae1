"""A model that is exported as NeuroML and read again is the same model."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

import izhi_models
from izhi_models.pipeline import load
from tests.property.models import models
from tests.round_trip import assert_same


@settings(max_examples=40, deadline=None)
@given(models(), st.booleans())
def test_export_then_import_is_the_identity(text: str, keep_rules: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.xml")
        path.write_text(text, encoding="utf-8")
        model = load(path)
        first = izhi_models.export(
            model, "neuroml", Path(folder, "a", "LEMS_out.xml"), keep_rules=keep_rules
        )
        assert_same(load(first[0]), model)
        assert noted([path]) <= noted(first)
        again = izhi_models.export(
            first[0], "neuroml", Path(folder, "b", "LEMS_out.xml"), keep_rules=keep_rules
        )
        # What was exported is exported as it is, but for the remark about where it comes from.
        for one, other in zip(first[1:], again[1:], strict=True):
            assert (
                one.read_text().split("</notes>", 1)[1] == other.read_text().split("</notes>", 1)[1]
            )


def noted(paths: Iterable[Path]) -> Counter[str]:
    """Return all notes, but for how they are indented."""
    trees = (etree.parse(path) for path in paths)
    return Counter(
        " ".join(item.text.split()) for tree in trees for item in tree.iter("{*}notes") if item.text
    )


@settings(max_examples=20, deadline=None)
@given(models())
def test_export_to_hdf5_then_import_is_the_identity(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.xml")
        path.write_text(text, encoding="utf-8")
        model = load(path)
        first = izhi_models.export(model, "neuroml-hdf5", Path(folder, "a", "LEMS_out.xml"))
        assert_same(load(first[0]), model, is_hdf5=True)
