"""The claims of the report: their tests, verdicts and table, on runs with known numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_files as made
from test_report_tables import SMALL, grid

from workflow_scripts.intervals import wilson
from workflow_scripts.report import claims, judge
from workflow_scripts.report.claims import COLUMNS, LEAST_ROWS, Evidence, Outcome
from workflow_scripts.report.means import Mean, one_more_run, over_seeds
from workflow_scripts.tables import read_csv

PUBLISHED = made.PUBLISHED
HOLDS, FAILS, OPEN, NOT_MEASURED = "holds", "fails", "open", "not measured"
NOT_TESTABLE, REPORTS_ROWS = judge.NOT_TESTABLE, judge.REPORTS_ROWS
RECIPES = {column: column for column in COLUMNS}
EMPTY = Evidence(*[pd.DataFrame()] * 4, RECIPES, PUBLISHED)


# --- the table


@pytest.fixture(scope="module")
def table(runs, tables, tmp_path_factory) -> pd.DataFrame:
    """claims.csv, as its stage makes it from the runs."""
    data, root = tmp_path_factory.mktemp("data"), runs[0].parents[2]
    rows = made.make_rows(data / "rows.parquet", made.PROFILE["tasks"])
    judge.judge(
        runs, RECIPES, root / "scores.parquet", tables / "over_seeds.csv", PUBLISHED, made.fits(),
        made.PROFILE, made.READING, rows, data / "claims.csv", own_model=True, scale="toy",
    )  # fmt: skip
    return read_csv(data / "claims.csv").fillna("")


def test_the_claims_table_has_every_published_number_and_what_is_judged_first(table):
    assert list(table) == ["group", "claim", "published", *COLUMNS, "kind", "verdict", "scale"]
    assert set(table.scale) == {"toy"}
    by_claim = table.set_index("claim")
    assert by_claim.index.is_unique
    for name, run in PUBLISHED["runs"].items():
        line = by_claim.loc[f"{name}: ROUGE-L, validation rows"]
        assert line.published == f"{run['rouge_l_val']:.4g}"
        assert line.verdict.startswith(f"not testable here: needs {REPORTS_ROWS} and its base")
    groups = (judge.JUDGED, judge.UNTESTED, judge.NUMBERS)
    assert tuple(table.group.unique()) == groups
    judged, untested, numbers = (table[table.group == each] for each in groups)
    assert len(judged) + len(untested) == len(claims.claims())
    assert NOT_TESTABLE not in set(judged.kind) and set(untested.kind) == {NOT_TESTABLE}
    # of the numbers, those that are judged come first
    untestable = (numbers.kind == NOT_TESTABLE).tolist()
    assert untestable == sorted(untestable) and not all(untestable)
    quoted = by_claim.loc["exp3_bs4_lr1e-4: evaluation loss given in the text (6)"].verdict
    assert quoted.startswith("artefact of A10:") and "exp3_bs8_lr1e-4" in quoted


def test_another_recipe_can_fill_a_column():
    recipes = {"as_run": "none", "as_written": "repaired", "repaired": "mine"}
    evidence = replace(EMPTY, recipes=recipes, **grid(SMALL, [0.9]))
    outcomes = claims.outcomes_of(claims.claims()["smaller_batch"], evidence)
    assert outcomes["repaired"].text == "not trained here"
    assert outcomes["as_written"].text.startswith("eval loss, batch 8 - batch 4")


# --- verdicts


def test_exact_match_zero_is_an_artefact_and_the_ablation_says_of_what():
    """The ablation's A1 is of too few rows at first; A2 leaves more than the limit."""
    name, entry = "exact_match_zero", claims.claims()["exact_match_zero"]
    split = {"recipe": COLUMNS, "run": "r", "split": "test"}
    intervals = pd.DataFrame(
        [(right / 90, *wilson(right, 90)) for right in (0, 0, 23)], columns=["mean", "low", "high"]
    ).assign(**split, task="all", metric="exact_match_decoded", rows=90)
    runs = pd.DataFrame(split | {"best_eval_loss": 0.3})
    evidence = replace(EMPTY, runs=runs, scores=runs, means=intervals)
    outcomes = claims.outcomes_of(entry, evidence)
    gone, limit = "gone when repaired", entry["below"]
    assert judge.judge_claim(name, outcomes, evidence)["verdict"] == f"artefact of A1 or A2: {gone}"
    effects = pd.DataFrame(
        {"change": ["-tokenizer", "-prompt"], "artefact": ["A2", "A1"], "effect_high": -0.2,
         "high": [limit + 0.01, limit - 0.01], "split": "test", "metric": "exact_match_decoded"}
    )  # fmt: skip
    suffices = "on these rows A1 suffices to explain it, by the ablation"
    for rows, verdict in (
        (LEAST_ROWS - 1, f"artefact of A1 or A2: {gone}"),
        (LEAST_ROWS, f"artefact: {gone}; {suffices}"),
    ):
        evidence.ablation = effects.assign(n=rows)
        assert judge.judge_claim(name, outcomes, evidence)["verdict"] == verdict


@pytest.mark.parametrize(
    ("as_run", "as_written", "verdict"),
    [
        (Mean(0.3, 0.2, 0.4, "seeds"), Mean(0.3, 0.2, 0.4, "seeds"),
         "reproduced: one more run gives 0.200 to 0.400 (95%, over seeds)"),
        (Mean(0.3, 0.2, 0.4), Mean(0.6, 0.5, 0.7),
         "artefact of A3: one more run may give it as run, not as written"),
        (Mean(0.6, 0.5, 0.7, "seeds"), Mean(0.3, 0.2, 0.4),
         "not reproduced: one more run gives 0.500 to 0.700 (95%, over seeds)"),
        (Mean(0.3), None, "not testable here: an interval needs two seeds that differ"),
        (Mean(0.3, 0.2, 0.4, "rows", LEAST_ROWS), None,
         "reproduced: one more run gives 0.200 to 0.400 (95%, over rows)"),
        (Mean(0.3, 0.2, 0.4, "rows", LEAST_ROWS - 1), None,
         f"open: as run too few rows ({LEAST_ROWS - 1})"),
    ],
)  # fmt: skip
def test_a_number_is_judged_by_its_intervals(as_run, as_written, verdict):
    measured = {"as_run": as_run, "as_written": as_written, "repaired": None}
    assert judge.judge_number(0.35, measured, ["A3"], [])["verdict"] == verdict
    missing = judge.judge_number(0.35, measured, ["A3"], [REPORTS_ROWS])
    assert missing["verdict"] == f"not testable here: needs {REPORTS_ROWS}"


@pytest.mark.parametrize(
    ("seeds", "share"), [(2, None), (10, None), (1, 0.0), (1, 0.005), (1, 0.2)]
)
def test_one_more_run_of_the_same_procedure_is_accepted_95_times_in_100(seeds, share):
    """A loss of several seeds, or a share of 203 rows of one seed, which is cautious near 0."""
    rng, rows = np.random.default_rng(3), None if share is None else 203
    shape = (500, seeds + 1)
    runs = rng.binomial(rows, share, shape) / rows if rows else rng.normal(0.4, 0.05, shape)
    accepted = 0
    for published, *ours in runs:
        limits = [wilson(round(value * rows), rows) if rows else (None, None) for value in ours]
        scores = pd.DataFrame(limits, columns=["low", "high"], dtype=float)
        scores = scores.assign(value=ours, n=pd.array([rows] * seeds, "Int64"))
        expected = one_more_run(scores)
        assert not rows or 0 <= expected.low <= expected.high <= 1
        accepted += expected.low <= published <= expected.high
    assert 0.93 <= accepted / 500 <= (1 if rows else 0.97)


LIGER = claims.claims()["liger_kernel"]["untestable"]
AGAINST = "; the report's own numbers speak against it"
YES, NO, UNMEASURED = (Outcome("", finding) for finding in (HOLDS, FAILS, NOT_MEASURED))
MAYBE = Outcome("", OPEN, Mean(0.05, -0.05, 0.15), "the interval holds 0")
FEW = Outcome("", OPEN, doubt="too few rows (3)")
CLEAR = Outcome("", HOLDS, Mean(0.04, 0.03, 0.05))
LARGE = Outcome("", HOLDS, Mean(0.4, 0.3, 0.5))


@pytest.mark.parametrize(
    ("claim", "outcomes", "words"),
    [
        ("smaller_batch", (YES, NO, NO), "artefact of A3: there as run, gone as written"),
        ("smaller_batch", (NO, NO, YES), "not reproduced; holds once repaired"),
        ("smaller_batch", (UNMEASURED,) * 3, f"not testable here: needs {judge.SEVERAL_SEEDS}"),
        # an interval that holds 0 refutes nothing, so it makes no artefact
        ("smaller_batch", (CLEAR, MAYBE, MAYBE),
         "open: there as run, but as written the interval holds 0"),
        ("smaller_batch", (LARGE, MAYBE, MAYBE), "artefact of A3: there as run, less as written"),
        ("smaller_batch", (CLEAR, CLEAR, MAYBE),
         "reproduced; open once repaired (the interval holds 0)"),
        ("smaller_batch", (MAYBE, MAYBE, CLEAR),
         "open: as written the interval holds 0; holds once repaired"),
        # nor does one that says nothing, however large it was as run
        ("smaller_batch", (LARGE, FEW, FEW),
         "open: there as run, but as written too few rows (3)"),
        ("smaller_batch", (MAYBE, UNMEASURED, UNMEASURED), "open: as run the interval holds 0"),
        ("smaller_batch", (YES, YES, YES), f"reproduced{AGAINST}"),
        ("answers_too_long", (NO, NO, NO), "not reproduced"),
        ("liger_kernel", (YES, YES, YES), f"{NOT_TESTABLE}: {LIGER}"),
        # A3 and A6 are gone as written already, so repairing the text can't have removed them
        ("rouge_rose", (CLEAR, CLEAR, NO), "reproduced; fails once repaired"),
        ("decomposer_usable", (CLEAR, CLEAR, NO), "artefact of A1 or A2: gone when repaired"),
        ("decomposer_usable", (NO, NO, CLEAR),
         "not reproduced; holds once A1 or A2 is repaired"),
        ("refiner_deviates", (MAYBE, MAYBE, CLEAR),
         "artefact of A7: its figure can't show it; the true losses show it under repaired"),
        ("refiner_deviates", (FEW, FEW, MAYBE),
         "artefact of A7: its figure can't show it; "
         "the true losses leave it open (as written too few rows (3))"),
        ("refiner_deviates", (NO, NO, MAYBE),
         "artefact of A7: its figure can't show it; the true losses show the opposite"),
    ],
)  # fmt: skip
def test_a_claim_is_judged_by_where_it_holds(claim, outcomes, words):
    named = dict(zip(COLUMNS, outcomes, strict=True))
    assert judge.judge_claim(claim, named, EMPTY)["verdict"] in (words, words + AGAINST)


def test_a_claim_of_the_reports_rows_or_rates_needs_them():
    lacking = replace(EMPTY, missing=[REPORTS_ROWS])
    named = dict.fromkeys(COLUMNS, YES)
    needs = f"{NOT_TESTABLE}: needs {REPORTS_ROWS}"
    assert judge.judge_claim("answers_too_long", named, lacking)["verdict"] == needs
    judged = judge.judge_claim("slow_rate_underfits", named, lacking)
    assert judged["verdict"] == f"{needs}; on ours reproduced"
    assert judge.judge_claim("slow_rate_underfits", named, EMPTY)["verdict"] == "reproduced"


# --- when a claim is decided


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [(0.051, 0.2, HOLDS), (0.05, 0.2, OPEN), (0.01, 0.05, OPEN), (0.01, 0.049, FAILS)],
)
def test_a_whole_interval_must_lie_on_one_side_of_the_limit(low, high, finding):
    value = Mean(0.05, low, high, "rows", LEAST_ROWS)
    assert claims.decide("", value, 0.05).finding == finding
    turned = {HOLDS: FAILS, FAILS: HOLDS}
    assert claims.decide("", value, 0.05, "below").finding == turned.get(finding, finding)


# --- claims that compare trainings


def outcome_of(name: str, **frames: pd.DataFrame) -> Outcome:
    entry = claims.claims()[name]
    return claims.TESTS[entry["test"]](replace(EMPTY, **frames), "repaired", entry)


ABOVE, BELOW = [1.2, 1.1, 1.0], [0.3, 0.2, 0.1]  # losses of batch 8; batch 4 has those of SMALL


@pytest.mark.parametrize(
    ("losses", "more", "finding", "doubt"),
    [
        ((SMALL, BELOW), {}, FAILS, ""),
        # the limit of epochs is part of what was done: judged, and said
        ((SMALL, ABOVE), {"stopped": False}, HOLDS, ""),
        ((SMALL, ABOVE), {"rows": LEAST_ROWS - 1}, OPEN, "too few rows (11)"),
        # at the end 0.8 - 0.4, at equal steps 0.8 - 0.9
        ((SMALL, [0.9, 0.85, 0.8]), {}, OPEN,
         "at equal epochs and at equal steps the difference has opposite signs"),
        # batch 8 stops at step 15, before batch 4 has ended its first epoch
        (([0.9, 0.5], [1.0]), {}, HOLDS, ""),
    ],
)  # fmt: skip
def test_a_claim_on_batch_sizes_is_judged_by_losses_on_enough_rows(losses, more, finding, doubt):
    outcome = outcome_of("smaller_batch", **grid(*losses, **more))
    assert (outcome.finding, outcome.doubt) == (finding, doubt)
    assert outcome.text.endswith("; 4 of 4 runs used all their epochs") == ("stopped" in more)
    assert "equal epochs" in outcome.text
    assert ("equal steps" in outcome.text) == (losses[1] != [1.0])


def test_what_holds_at_the_epochs_kept_and_is_not_clear_at_equal_steps_is_said():
    """Noise around 0 is no opposite sign: batch 4's first epoch is worse in the second seed."""
    frames = grid(SMALL, ABOVE)
    epochs = frames["epochs"]
    epochs.loc[(epochs.step == 30) & (epochs.seed == 2), "eval_loss"] = 1.2
    outcome = outcome_of("smaller_batch", **frames)
    assert (outcome.finding, outcome.aside) == (HOLDS, "not shown at equal steps")
    named = dict.fromkeys(COLUMNS, outcome)
    words = f"reproduced; {outcome.aside}{AGAINST}"
    assert judge.judge_claim("smaller_batch", named, EMPTY)["verdict"] == words


def runs_of(losses: dict[str, float], seeds: int, **settings: list) -> pd.DataFrame:
    """Runs of experiment 3 whose loss grows from seed to seed."""
    runs = pd.DataFrame(losses.items(), columns=["run", "eval_loss"]).assign(recipe="repaired")
    runs = runs.assign(experiment=3, patience=2, stopped_early=True, val_all=12, rouge_l=0.5)
    return pd.concat(
        runs.assign(seed=seed, eval_loss=runs.eval_loss * (1 + seed / 100), **settings)
        for seed in range(1, seeds + 1)
    )


def test_pairs_of_one_seed_count_once():
    """Two batch sizes of two seeds: the interval is over two values, not four."""
    losses = {"slow_4": 0.5, "slow_8": 0.6, "fast_4": 0.25, "fast_8": 0.3}
    rates = {"learning_rate": [3e-5, 3e-5, 1e-4, 1e-4], "batch_size": [4, 8, 4, 8]}
    outcome = outcome_of("slow_rate_underfits", runs=runs_of(losses, 2, **rates))
    assert str(over_seeds([0.275 * 1.01, 0.275 * 1.02])) in outcome.text
    assert "mean of 4 pairs" in outcome.text and outcome.finding == HOLDS
    outcome = outcome_of("slow_rate_underfits", runs=runs_of(losses, 1, **rates))
    assert outcome.text.endswith("(no interval)") and outcome.finding == NOT_MEASURED


def test_a_rival_picked_among_several_is_ahead_only_with_the_correction_for_them():
    losses = {made.CHOSEN: 0.4, "exp3_bs8_lr1e-4": 0.37, "mine": 0.8, "other": 0.9}
    runs = runs_of(losses, 3)
    rival = (runs.run == "exp3_bs8_lr1e-4") & (runs.seed == 3)
    runs.loc[rival, "eval_loss"] -= 0.015
    ahead = over_seeds([0.0303, 0.0306, 0.0459])
    assert ahead.low > 0 > over_seeds([0.0303, 0.0306, 0.0459], 3).low
    outcome = outcome_of("chosen_is_best", runs=runs)
    assert outcome.finding == OPEN and "corrected for 3 comparisons" in outcome.text


@pytest.mark.parametrize(("rival", "finding"), [(0.6, HOLDS), (0.2, FAILS), (None, NOT_MEASURED)])
def test_the_choice_is_best_where_it_is_ahead_of_each_rival(rival, finding):
    rivals = {"exp3_bs8_lr1e-4": rival, "mine": 0.8} if rival else {}
    outcome = outcome_of("chosen_is_best", runs=runs_of({made.CHOSEN: 0.4} | rivals, 3))
    assert outcome.finding == finding, outcome.text
    if rival:
        ahead = [(rival - 0.4) * (1 + seed / 100) for seed in (1, 2, 3)]
        words = f"eval loss, exp3_bs8_lr1e-4 - this: {over_seeds(ahead)}"
        if finding == FAILS:
            words = words.replace(": ", ", corrected for 2 comparisons: ")
            words = words.replace(str(over_seeds(ahead)), str(over_seeds(ahead, 2)))
        assert words in outcome.text
