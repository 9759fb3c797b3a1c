"""Every interval does what it says, and SciPy agrees where it has the same."""

import math

import numpy as np
import pytest
from scipy import stats

from workflow_scripts.intervals import (
    difference_over_rows,
    mean_over_rows,
    mean_over_seeds,
    wilson,
)


def test_intervals_cover_the_mean_as_often_as_they_say():
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        mean, low, high = mean_over_rows(generator.random(60) < 0.3)
        assert low <= mean <= high
        covered += low <= 0.3 <= high
    assert 0.9 <= covered / 200 <= 0.99


def test_intervals_are_equal_for_equal_input_and_in_chunks(monkeypatch):
    values = np.arange(50) / 50
    whole = mean_over_rows(values)
    assert whole == mean_over_rows(values)
    monkeypatch.setattr("workflow_scripts.intervals.DRAWN_AT_ONCE", 1000)
    assert mean_over_rows(values) == whole
    assert mean_over_rows([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_no_hit_in_few_rows_is_not_no_hit_at_all():
    """Wilson's interval; 0 of 17 by hand: 1.96^2 / (17 + 1.96^2)."""
    mean, low, high = mean_over_rows([0] * 17)
    assert (mean, low) == (0, 0) and high == pytest.approx(3.8415 / 20.8415, abs=1e-4)
    assert mean_over_rows([1] * 17)[1:] == pytest.approx((1 - high, 1.0))
    assert mean_over_rows([1] * 5 + [0] * 5)[1:] == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_a_paired_difference_is_narrower_than_two_intervals():
    generator = np.random.default_rng(0)
    first = generator.random(100)
    difference, low, high = difference_over_rows(first + 0.1, first)
    assert (difference, low, high) == pytest.approx((0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="2 rows against 1"):
        difference_over_rows([1, 2], [1])


def test_scipy_gives_the_same_intervals():
    share = stats.binomtest(7, 30).proportion_ci(0.95, method="wilson")
    assert wilson(7, 30) == pytest.approx((share.low, share.high))
    values = np.arange(40) / 7
    resampled = stats.bootstrap(
        (values,), np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert mean_over_rows(values)[1:] == pytest.approx((resampled.low, resampled.high))
    seeds = [0.1, 0.4, 0.35]
    wanted = stats.t.interval(0.95, 2, np.mean(seeds), stats.sem(seeds))
    assert mean_over_seeds(seeds)[1:] == pytest.approx(wanted)


def test_one_seed_has_no_interval():
    mean, low, high = mean_over_seeds([1.0])
    assert mean == 1 and math.isnan(low) and math.isnan(high)
