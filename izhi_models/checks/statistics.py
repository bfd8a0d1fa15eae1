"""Statistical tests, each of which gives the probability of what was seen if all is as declared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST = 20_000  # values of a sample
_DIGITS = 9


def same_distribution(first: Floats, second: Floats, random: np.random.Generator) -> float:
    """Return the probability that two samples of one distribution differ so much, or more.

    Source: the test of Kolmogorov and Smirnov for two samples; where values repeat, the true
    probability is higher. Two samples of one and the same number are equal or not.

    Parameters
    ----------
    first, second : array
    random : numpy.random.Generator
        Chooses which values are used of many.
    """
    from scipy.stats import ks_2samp  # slow to import

    if not first.size or not second.size:
        return 1.0 if first.size == second.size else 0.0
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()))
    if scale == 0.0:
        return 1.0
    # What differs by rounding is the same value.
    first, second = (np.round(item / scale, _DIGITS) for item in (first, second))
    if np.ptp(first) == 0.0 and np.ptp(second) == 0.0:
        return float(first[0] == second[0])
    parts = [
        item if item.size <= _MOST else random.choice(item, _MOST, replace=False)
        for item in (first, second)
    ]
    return float(ks_2samp(*parts, method="asymp").pvalue)


def independent(first: Floats, second: Floats) -> float:
    """Return the probability that the ranks of two independent samples agree so much, or more.

    Source: Spearman's rank correlation; both signs count.

    Parameters
    ----------
    first, second : array (n,)
        Drawn in pairs.
    """
    from scipy.stats import spearmanr  # slow to import

    if first.size < 3 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return 1.0
    return float(spearmanr(first, second).pvalue)


def same_mean(first: Floats, second: Floats) -> float:
    """Return the probability that the means of two samples differ so much, or more.

    Source: Welch's test.

    Parameters
    ----------
    first, second : array (n,)
        With n > 1.
    """
    from scipy.stats import ttest_ind  # slow to import

    if np.ptp(first) == 0.0 and np.ptp(second) == 0.0:
        return float(first[0] == second[0])
    return float(ttest_ind(first, second, equal_var=False).pvalue)


def of_distribution(sample: Floats, cumulative: Callable[[Floats], Floats], slack: float) -> float:
    """Return the probability that a sample of a distribution is so far from it, or more.

    Source: the test of Kolmogorov and Smirnov, with a distance that counts from what lies beyond
    the slack, so that values that are rounded up to `slack` do not fail.

    Parameters
    ----------
    sample : array (n,)
    cumulative : callable
        The distribution function.
    slack : float
    """
    from scipy.stats import kstwo  # slow to import

    ordered = np.sort(sample if sample.size <= _MOST else sample[:_MOST])
    n = ordered.size
    above = np.arange(1, n + 1) / n - cumulative(ordered + slack)
    below = cumulative(ordered - slack) - np.arange(n) / n
    distance = max(0.0, float(above.max()), float(below.max()))
    return float(kstwo.sf(distance, n))


def of_count(count: float, expected: float, deviation: float) -> float:
    """Return the probability that a count is so far from what is expected, or more.

    Parameters
    ----------
    count, expected, deviation : float
        The count is a sum of many, and so about normal.
    """
    from scipy.stats import norm  # slow to import

    return float(2.0 * norm.sf(abs(count - expected) / deviation)) if deviation > 0 else 1.0
