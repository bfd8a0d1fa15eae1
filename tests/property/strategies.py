"""Random expressions and dynamics."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from izhi_models.expr import (
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Number,
    Select,
)

# Multiples of a quarter: sums, products and whole powers of a few of them are exact.
DYADIC = st.integers(0, 40).map(lambda number: Number(number / 4))
SIGNED = st.integers(-40, 40).map(lambda number: number / 4)
ANY_NUMBER = st.floats(0, 1e300, allow_nan=False).map(Number)


def conditions(numbers: st.SearchStrategy[Expr], depth: int = 2) -> st.SearchStrategy[Expr]:
    return st.recursive(
        _compared(numbers),
        lambda below: st.builds(Logic, st.sampled_from(["and", "or"]), below, below),
        max_leaves=depth,
    )


def _compared(numbers: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.builds(Compare, st.sampled_from(["<", ">", "<=", ">=", "==", "!="]), numbers, numbers)


def texts(names: Sequence[str]) -> st.SearchStrategy[Expr]:
    """Return all that LEMS text can say: no choices, no negative literals."""
    leaves = st.one_of(st.sampled_from(names).map(Name), ANY_NUMBER)

    def deeper(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return st.one_of(
            st.builds(Negate, below),
            st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "^"]), below, below),
            st.builds(Call, st.sampled_from(["exp", "H", "random", "ceil"]), below),
        )

    numbers = st.recursive(leaves, deeper, max_leaves=12)
    return st.one_of(numbers, conditions(numbers))


def exact(names: Sequence[str]) -> st.SearchStrategy[Expr]:
    """Return expressions whose operations are correctly rounded, so that all computers agree."""
    leaves = st.one_of(st.sampled_from(names).map(Name), DYADIC)

    def deeper(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return st.one_of(
            st.builds(Negate, below),
            st.builds(Binary, st.sampled_from(["+", "-", "*"]), below, below),
            st.builds(
                Binary, st.just("/"), below, st.sampled_from([1.0, -1.0, 2.0, 8.0]).map(Number)
            ),
            st.builds(Binary, st.just("^"), below, st.sampled_from([0.0, 1.0, 2.0]).map(Number)),
            st.builds(Call, st.sampled_from(["abs", "ceil", "H", "sqrt"]), below),
            st.builds(Select, _compared(below), below, below),
        )

    return st.recursive(leaves, deeper, max_leaves=10)


def smooth(names: Sequence[str]) -> st.SearchStrategy[Expr]:
    """Return expressions that are analytic near positive values of the names."""
    leaves = st.one_of(
        st.sampled_from(names).map(Name), st.sampled_from([0.5, 1.0, 2.0, 3.0]).map(Number)
    )

    def deeper(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        above_one = st.builds(Binary, st.just("+"), st.just(Number(1.0)), _squared(below))
        return st.one_of(
            st.builds(Negate, below),
            st.builds(Binary, st.sampled_from(["+", "-", "*"]), below, below),
            st.builds(Binary, st.just("/"), below, above_one),
            st.builds(Binary, st.just("^"), above_one, st.sampled_from([0.5, 2.0]).map(Number)),
            st.builds(Call, st.sampled_from(["sin", "cos", "tanh"]), below),
            st.builds(Call, st.sampled_from(["ln", "sqrt"]), above_one),
        )

    return st.recursive(leaves, deeper, max_leaves=8)


def _squared(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.builds(Binary, st.just("^"), below, st.just(Number(2.0)))


def positive(names: Sequence[str]) -> st.SearchStrategy[Expr]:
    """Return expressions without cancellation, where rounding stays as small as it is."""
    leaves = st.one_of(
        st.sampled_from(names).map(Name), st.sampled_from([0.02, 1.0, 3.0]).map(Number)
    )

    def deeper(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return st.one_of(
            st.builds(Binary, st.sampled_from(["+", "*", "/"]), below, below),
            st.builds(Binary, st.just("^"), below, st.sampled_from([2.0, 0.5]).map(Number)),
            st.builds(Call, st.sampled_from(["sqrt", "abs", "tanh"]), below),
        )

    return st.recursive(leaves, deeper, max_leaves=8)
