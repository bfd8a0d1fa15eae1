"""Each directory of invalid/ holds a bad file and the whole message that it gives.

The directory is the working directory of the check, so paths in the messages are as a user sees
them; paths of included files are absolute there, and shortened here.
"""

import ast
import sys
from pathlib import Path

import pytest

import izhi_models.lems
from izhi_models.errors import Diagnostic
from izhi_models.lems.validate import validate

CASES = sorted(Path(__file__).with_name("invalid").iterdir())
FRONT_END = Path(izhi_models.lems.__file__).parent
# Modules whose every message must have a case here.
MODULES = (
    "elements",
    "read",
    "types",
    "components",
    "constants",
    "queries",
    "language",
    "schema",
    "expression_rules",
    "type_rules",
    "dynamics_rules",
    "prescription",
    "model_rules",
    "validate",
)
TELLING = ("Diagnostic", "_fault", "_doubt")


def messages_of(case: Path) -> str:
    name = "case.nml" if (case / "case.nml").exists() else "case.xml"
    rendered = "\n".join(item.render() for item in validate(Path(name)))
    return rendered.replace(f"{case.resolve()}/", "") + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_file_gives_the_expected_message(case, monkeypatch):
    monkeypatch.chdir(case)
    assert messages_of(case) == (case / "expected.txt").read_text(encoding="utf-8")


def test_every_message_of_the_front_end_has_a_case(monkeypatch):
    told: set[tuple[str, int]] = set()
    original = Diagnostic.__init__

    def spy(self, *args, **kwargs):
        frame = sys._getframe(1)
        while frame is not None:
            told.add((Path(frame.f_code.co_filename).stem, frame.f_lineno))
            frame = frame.f_back
        original(self, *args, **kwargs)

    monkeypatch.setattr(Diagnostic, "__init__", spy)
    for case in CASES:
        monkeypatch.chdir(case)
        messages_of(case)
    untold = [
        f"{module}.py:{call.lineno}"
        for module in MODULES
        for call in calls_that_tell(module)
        if not any((module, line) in told for line in range(call.lineno, call.end_lineno + 1))
    ]
    assert untold == []


def calls_that_tell(module: str) -> list[ast.Call]:
    tree = ast.parse((FRONT_END / f"{module}.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) in TELLING
    ]
