from pathlib import Path

import pytest

from izhi_models.errors import (
    BackendError,
    CheckError,
    Diagnostic,
    InputError,
    InternalError,
    Note,
    RunError,
    Source,
    Span,
    UnsupportedError,
    raise_if_errors,
    suggest,
)

SOURCE = Source(Path("cell.nml"), "<neuroml>\n\t<cell v='1 +'/>\n</neuroml>\n")
FAULT = Span(SOURCE, SOURCE.text.index("1 +"), SOURCE.text.index("1 +") + 3)


def test_a_diagnostic_shows_place_line_caret_and_what_to_do() -> None:
    diagnostic = Diagnostic(
        "the expression ends too early",
        FAULT,
        ("write what is added", Note("opened here", Span(SOURCE, 0, 9))),
    )
    # The caret line repeats the tab, so that it stands under the text whatever a tab is wide.
    assert diagnostic.render().splitlines() == [
        "cell.nml:2:11: error: the expression ends too early",
        "  \t<cell v='1 +'/>",
        "  \t         ^^^",
        "  write what is added",
        "cell.nml:1:1: note: opened here",
        "  <neuroml>",
        "  ^^^^^^^^^",
    ]


def test_a_caret_stays_inside_the_line_when_the_fault_spans_lines() -> None:
    span = Span(SOURCE, 0, len(SOURCE.text))
    assert span.excerpt().splitlines()[1] == "  " + "^" * len("<neuroml>")


def test_a_diagnostic_as_data_has_the_same_place() -> None:
    data = Diagnostic("wrong", FAULT, ("hint",)).to_dict()
    assert data == {
        "severity": "error",
        "message": "wrong",
        "file": "cell.nml",
        "line": 2,
        "column": 11,
        "notes": [{"text": "hint"}],
    }


def test_an_error_says_all_that_is_wrong() -> None:
    error = InputError(Diagnostic("first"), "second")
    assert str(error) == "error: first\nerror: second"
    assert [item.message for item in error.diagnostics] == ["first", "second"]


def test_only_errors_are_raised() -> None:
    warning = Diagnostic("odd", severity="warning")
    raise_if_errors([warning])
    with pytest.raises(InputError) as caught:
        raise_if_errors([warning, Diagnostic("wrong")])
    assert [item.message for item in caught.value.diagnostics] == ["wrong"]


def test_each_kind_of_error_has_its_exit_code() -> None:
    kinds = (InputError, UnsupportedError, BackendError, RunError, CheckError, InternalError)
    assert [kind.exit_code for kind in kinds] == [2, 3, 4, 5, 6, 70]


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("thresold", ["threshold", "reset"], "did you mean 'threshold'?"),
        ("MVOLT", ["mvolt", "x", "y"], "did you mean 'mvolt'?"),
        ("q", ["alpha", "beta"], "known here: alpha, beta"),
    ],
)
def test_a_wrong_name_gets_the_nearest_known_ones(
    name: str, known: list[str], expected: str
) -> None:
    assert suggest(name, known) == (expected,)


def test_no_name_is_offered_when_there_are_many_and_none_is_near() -> None:
    assert suggest("q", [f"variable{i}" for i in range(20)]) == ()


def test_suggest__other_case__offers_that_name_first():
    known = ["izhikevich2003_RS", "izhikevich2003_TC", "izhikevich2003_RZ"]
    assert suggest("izhikevich2003_rs", known) == ("did you mean 'izhikevich2003_RS'?",)
