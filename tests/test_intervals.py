"""Every interval does what it says, and SciPy agrees where it has the same."""

import math

import numpy as np
import pytest
from scipy import stats

from workflow_scripts.intervals import difference_over_rows, mean_over_rows, mean_over_seeds, wilson


@pytest.mark.parametrize(
    ("rows", "seeds", "share", "of_row", "of_seed"),
    [(90, 5, 0.4, 1.5, 0.2), (90, 2, 0.3, 1, 0.3), (30, 5, 0.3, 0.3, 0.5), (90, 5, 0.005, 1, 0.2)],
)
def test_the_interval_over_rows_and_seeds_covers_what_it_says(rows, seeds, share, of_row, of_seed):
    """Right answers depend on the row, the seed and chance; seeds answer the same rows."""
    generator = np.random.default_rng(1)
    limit = stats.norm.ppf(share) * math.sqrt(1 + of_row**2 + of_seed**2)
    covered = 0
    for _ in range(300):
        latent = limit + of_row * generator.standard_normal((rows, 1))
        latent = latent + of_seed * generator.standard_normal((1, seeds))
        right = latent + generator.standard_normal((rows, seeds)) > 0
        mean, low, high = mean_over_rows(right)
        assert 0 <= low <= mean <= high <= 1
        covered += low <= share <= high
    assert covered / 300 >= 0.94


def test_rows_of_few_databases_are_not_that_many_rows():
    """Three databases that differ: the interval over 90 rows covers their mean too seldom."""
    generator = np.random.default_rng(2)
    covered = {None: 0, ("a",) * 30 + ("b",) * 30 + ("c",) * 30: 0}
    for _ in range(300):
        chance = np.repeat(np.clip(generator.normal(0.4, 0.15, 3), 0, 1), 30)
        right = generator.random(90) < chance
        for clusters in covered:
            _, low, high = mean_over_rows(right, clusters)
            covered[clusters] += low <= 0.4 <= high
    over_rows, over_databases = covered.values()
    assert over_rows / 300 < 0.8 and over_databases / 300 >= 0.93


def test_a_small_share_of_many_databases_is_covered():
    """Four or five right answers in a hundred, 21 databases of six rows, which agree a little."""
    generator, covered = np.random.default_rng(6), 0
    databases = np.repeat(np.arange(21), 6)
    for _ in range(400):
        chance = np.repeat(generator.beta(0.045 * 9, 0.955 * 9, 21), 6)  # correlated by 0.1
        _, low, high = mean_over_rows(generator.random(126) < chance, databases)
        covered += low <= 0.045 <= high
    assert covered / 400 >= 0.94


def test_seeds_with_rows_of_their_own_count_them_once():
    table = np.full((60, 3), np.nan)
    for seed in range(3):
        table[20 * seed : 20 * (seed + 1), seed] = [1, 0] * (8 + seed) + [0] * (4 - 2 * seed)
    mean, low, high = mean_over_rows(table)
    assert mean == pytest.approx(0.45)
    assert (low, high) == pytest.approx(wilson(27, 60), abs=1e-9)


def test_no_hit_in_few_rows_is_not_no_hit_at_all():
    """Wilson's interval; 0 of 17 by hand: 1.96^2 / (17 + 1.96^2)."""
    mean, low, high = mean_over_rows([0] * 17)
    assert (mean, low) == (0, 0) and high == pytest.approx(3.8415 / 20.8415, abs=1e-4)
    assert mean_over_rows([1] * 17)[1:] == pytest.approx((1 - high, 1.0))
    assert mean_over_rows([1] * 5 + [0] * 5)[1:] == pytest.approx((0.2366, 0.7634), abs=1e-4)


@pytest.mark.parametrize(
    ("counts", "limits"),
    [
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((35, 14, 0, 1), (0.1461, 0.4175)),
        ((1, 97, 1, 1), (0.8736, 0.9850)),
        ((0, 30, 0, 0), (0.8395, 1)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
    ],
)
def test_the_difference_of_two_shares_has_the_limits_of_newcombes_table_iii(counts, limits):
    both, first, second, neither = counts
    one = [1] * (both + first) + [0] * (second + neither)
    other = [1] * both + [0] * first + [1] * second + [0] * neither
    assert difference_over_rows(one, other)[1:] == pytest.approx(limits, abs=1e-4)


@pytest.mark.parametrize(("seeds", "databases"), [(5, None), (2, None), (2, 20), (5, 3)])
def test_a_paired_difference_knows_seeds_and_databases(seeds, databases):
    """Two recipes answer the same rows; how hard a row is depends on its database."""
    generator = np.random.default_rng(8)
    units = databases or 90
    clusters = np.repeat(np.arange(units), 90 // units)
    rows = len(clusters)
    given = None if databases is None else clusters
    limits = stats.norm.ppf([0.4, 0.2]) * math.sqrt(2.04)
    covered = 0
    for _ in range(200):
        hardness = np.repeat(generator.standard_normal((units, 1)), 90 // units, axis=0)
        of_seed = 0.2 * generator.standard_normal((2, 1, seeds))
        latent = hardness + of_seed + generator.standard_normal((2, rows, seeds))
        first, second = latent + limits[:, None, None] > 0
        _, low, high = difference_over_rows(first, second, given)
        covered += low <= 0.2 <= high
        assert (low, high) != difference_over_rows(first, second, given, comparisons=5)[1:]
    assert covered / 200 >= 0.94


@pytest.mark.parametrize("rows", [1, 12, 90])
def test_no_interval_has_the_width_zero(rows):
    unseen = wilson(0, rows)[1]
    same = [0.4] * rows
    mean, low, high = mean_over_rows(same)
    assert mean == pytest.approx(0.4) and low < mean < high
    assert difference_over_rows([0] * rows, [0] * rows) == pytest.approx((0, -unseen, unseen))
    equal, low, high = difference_over_rows(same, same)
    assert equal == 0 and low < 0 < high
    certain, low, high = difference_over_rows([0.75] * rows, [0.25] * rows)
    assert certain == 0.5 and low < 0.5 < high
    # nobody knows how far a number without a scale may go
    assert math.isnan(mean_over_rows([1.3] * rows)[1])
    assert math.isnan(mean_over_seeds([4.0] * rows)[2])  # also of one seed


def test_scipy_gives_the_same_intervals():
    values = np.arange(40) / 7
    wanted = stats.norm.interval(0.95, values.mean(), stats.sem(values, ddof=0))
    assert mean_over_rows(values)[1:] == pytest.approx(wanted)
    seeds = [0.1, 0.4, 0.35]
    for comparisons in (1, 5):  # all of which are right together, by Bonferroni
        wanted = stats.t.interval(1 - 0.05 / comparisons, 2, np.mean(seeds), stats.sem(seeds))
        assert mean_over_seeds(seeds, comparisons)[1:] == pytest.approx(wanted)
