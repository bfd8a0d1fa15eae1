"""Geometry of compartments against closed formulas."""

import math

import numpy as np
import pytest

from izhi_models.lems.morphology import Cable, Morphology, Segment


def segment(number, start, end, diameters=(2.0, 2.0), parent=None, fraction=1.0):
    return Segment(number, (start, 0, 0), (end, 0, 0), *diameters, parent, fraction)


def resistance(length, diameter):
    return length / (math.pi * diameter**2 / 4)


def shape(*cables):
    return Morphology({item.id: item for cable in cables for item in cable.segments}, cables)


def test_the_area_of_a_sphere_and_of_frusta():
    assert segment(0, 5.0, 5.0, (10.0, 10.0)).area() == pytest.approx(math.pi * 10.0**2)
    assert segment(0, 0.0, 30.0).area() == pytest.approx(math.pi * 2.0 * 30.0)
    frustum = segment(0, 0.0, 4.0, (8.0, 2.0))
    assert frustum.area() == pytest.approx(math.pi * (4.0 + 1.0) * 5.0)  # the slant is 5
    assert frustum.area(0.0, 0.3) + frustum.area(0.3) == pytest.approx(frustum.area())


def test_the_resistance_of_a_frustum_is_the_integral_over_its_sections():
    frustum = segment(0, 0.0, 7.0, (4.0, 1.0))
    x = (np.arange(100_000) + 0.5) / 100_000
    expected = np.mean(7.0 / (math.pi * (2.0 - 1.5 * x) ** 2))
    assert frustum.resistance() == pytest.approx(expected, rel=1e-8)  # of the midpoint rule
    both = frustum.resistance(0.0, 0.6) + frustum.resistance(0.6)
    assert both == pytest.approx(frustum.resistance())


def test_a_cable_is_divided_into_equal_lengths_across_its_segments():
    cable = Cable((segment(0, 0.0, 10.0), segment(1, 10.0, 40.0, parent=0)), 4)
    found = shape(cable)
    assert [item.area for item in found.compartments] == pytest.approx([math.pi * 2.0 * 10.0] * 4)
    assert [found.compartment_at(1, at) for at in (0.0, 0.1, 0.4, 1.0)] == [1, 1, 2, 3]
    assert found.compartments[2].middle == (1, pytest.approx(0.5))
    assert [(p.segment, p.start, p.end) for p in found.compartments[0].pieces] == [(0, 0.0, 1.0)]
    conductances = found.conductances({0: 1.0, 1: 2.0})
    halves = (resistance(5.0, 2.0), 2.0 * resistance(5.0, 2.0))
    assert conductances == {
        (0, 1): pytest.approx(1.0 / sum(halves)),
        (1, 2): pytest.approx(0.5 / halves[1]),
        (2, 3): pytest.approx(0.5 / halves[1]),
    }


def test_the_point_where_cables_meet_is_eliminated():
    soma = segment(0, 0.0, 20.0, (20.0, 20.0))
    branches = [segment(n, 20.0, 20.0 + 10.0 * n, parent=0) for n in (1, 2)]
    found = shape(Cable((soma,)), *(Cable((item,)) for item in branches))
    conductances = found.conductances(dict.fromkeys(range(3), 1.0))
    # Kirchhoff at the point in between: its potential is the weighted mean of those around it.
    halves = np.array([1 / resistance(10, 20), 1 / resistance(5, 2), 1 / resistance(10, 2)])
    for (one, other), value in conductances.items():
        assert value == pytest.approx(halves[one] * halves[other] / halves.sum())
    assert set(conductances) == {(0, 1), (0, 2), (1, 2)}


def test_a_branch_in_the_middle_starts_at_the_compartment_there():
    trunk = segment(0, 0.0, 30.0)
    branch = segment(1, 20.0, 26.0, parent=0, fraction=0.7)
    found = shape(Cable((trunk,), 3), Cable((branch,)))
    assert found.conductances({0: 1.0, 1: 1.0})[2, 3] == pytest.approx(1 / resistance(3.0, 2.0))
    assert found.distance(1, 0.5) == pytest.approx(0.7 * 30.0 + 3.0)


def test_branches_at_the_proximal_end_of_the_root_meet_there():
    found = shape(
        Cable((segment(0, 0.0, 10.0),)), Cable((segment(1, 0.0, -10.0, parent=0, fraction=0.0),))
    )
    assert found.conductances({0: 1.0, 1: 1.0}) == {
        (0, 1): pytest.approx(1 / resistance(10.0, 2.0))
    }
