from decimal import Decimal

import numpy as np
import pytest

from izhi_models.errors import InputError
from izhi_models.units import (
    CURRENT,
    NONE,
    TIME,
    VOLTAGE,
    Dimension,
    Unit,
    display_unit,
    from_simulation,
    parse_quantity,
    simulation_power,
    to_simulation,
    to_simulation_array,
)

CONDUCTANCE = CURRENT.over(VOLTAGE)
CAPACITANCE = CONDUCTANCE.times(TIME)
UNITS = {
    unit.symbol: unit
    for unit in (
        Unit("mV", VOLTAGE, -3),
        Unit("ms", TIME, -3),
        Unit("nA", CURRENT, -9),
        Unit("degC", Dimension(k=1), offset=Decimal("273.15")),
        Unit("min", TIME, scale=Decimal(60)),
    )
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-65 mV", -0.065),
        ("10ms", 0.01),
        (" .5 ms ", 0.0005),
        ("0.1nA", 1e-10),  # and not 1.0000000000000002e-10, which two roundings give
        ("6.3 degC", 279.45),
        ("2min", 120.0),
        ("1e-2 mV", 1e-5),
    ],
)
def test_a_quantity_is_scaled_to_si_and_rounded_once(text: str, value: float) -> None:
    assert parse_quantity(text, UNITS).value == value


def test_a_bare_number_has_no_dimension() -> None:
    quantity = parse_quantity("0.02", UNITS)
    assert (quantity.value, quantity.dimension) == (0.02, NONE)


@pytest.mark.parametrize("text", ["", "mV", "1.2.3 mV", "1 m V", "NaN", "0x10"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_quantity(text, UNITS)


def test_an_unknown_unit_is_refused_with_the_nearest_known() -> None:
    with pytest.raises(InputError, match="did you mean 'mV'"):
        parse_quantity("1 mv", UNITS)


@pytest.mark.parametrize(
    ("dimension", "power"),
    [
        (TIME, -3),  # ms
        (VOLTAGE, -3),  # mV
        (CURRENT, -12),  # pA
        (CONDUCTANCE, -9),  # nS
        (CAPACITANCE, -12),  # pF
        (Dimension(l=1), -6),  # um
        (Dimension(l=-3, n=1), 0),  # mM is mol/m3
        (NONE, 0),
    ],
)
def test_simulations_use_the_units_that_physiologists_use(dimension: Dimension, power: int) -> None:
    assert simulation_power(dimension) == power


def test_units_of_simulations_are_consistent() -> None:
    # C dv/dt = g (E - v): the power of both sides must agree, whatever the choice per dimension.
    left = simulation_power(CAPACITANCE) + simulation_power(VOLTAGE) - simulation_power(TIME)
    right = simulation_power(CONDUCTANCE) + simulation_power(VOLTAGE)
    assert left == right == simulation_power(CURRENT)


def test_decimal_values_survive_the_change_of_units() -> None:
    # 0.022 / 0.001 is 21.999999999999996 in floating point.
    assert to_simulation(0.022, TIME) == 22.0
    assert to_simulation(-0.065, VOLTAGE) == -65.0
    assert np.isnan(to_simulation(float("nan"), TIME))


def test_simulation_units_and_back_is_the_identity() -> None:
    # Values as in models; each conversion rounds once, so 1 ulp (2.2e-16 relative) may be lost.
    for value in (0.022, -0.065, 1.7e-10, 3.3e-9):
        for dimension in (TIME, VOLTAGE, CURRENT, CONDUCTANCE):
            there = np.array([to_simulation(value, dimension)])
            np.testing.assert_allclose(from_simulation(there, dimension), value, rtol=2.3e-16)


def test_people_read_millivolt_and_derived_units_in_si() -> None:
    assert display_unit(VOLTAGE) == ("mV", 1e-3)
    assert display_unit(CAPACITANCE) == ("pF", 1e-12)
    assert display_unit(Dimension(m=1, t=-2)) == ("kg s^-2", 1.0)


def test_dimensions_multiply() -> None:
    assert VOLTAGE.times(CURRENT) == Dimension(m=1, l=2, t=-3)  # watt
    assert VOLTAGE.over(VOLTAGE) == NONE
    assert TIME.power(-2) == Dimension(t=-2)


def test_to_simulation_array_shifts_decimals() -> None:
    digits = np.random.default_rng(1).integers(-(10**6), 10**6, 5000)
    values = np.array([float(f"{number}e-9") for number in digits.tolist()])
    expected = np.array([float(f"{number}e-6") for number in digits.tolist()])
    assert np.array_equal(to_simulation_array(values, VOLTAGE), expected)
    odd = np.array([0.0, -0.0, np.inf, np.nan, 1e-300, 1.7e305, 1.0 / 3.0])
    result = to_simulation_array(odd, VOLTAGE)
    assert np.array_equal(result[:4], odd[:4], equal_nan=True)
    # A product is rounded once.
    np.testing.assert_allclose(result[4:], [1e-297, 1.7e308, 1000.0 / 3.0], rtol=3e-16)
