"""The claims of the report: their tests, verdicts and table, on runs with known numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_files as made
from test_report_tables import SMALL, grid

from workflow_scripts.files import read_json
from workflow_scripts.intervals import wilson
from workflow_scripts.report import claims as tests_of_claims
from workflow_scripts.report.claims import (
    COLUMNS,
    FAILS,
    HOLDS,
    LEAST_ROWS,
    NOT_MEASURED,
    OPEN,
    Evidence,
    Outcome,
    claims,
    decide,
    outcomes_of,
)
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.judge import (
    JUDGED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    NUMBERS,
    REPORTS_ROWS,
    REPRODUCED,
    SEVERAL_SEEDS,
    UNTESTED,
    gather,
    judge,
    judge_claim,
    judge_number,
    quoted_lines,
)
from workflow_scripts.report.means import Mean, means_over_seeds, one_more_run, over_seeds
from workflow_scripts.tables import ANSWERS, SCORES, read_csv, read_table
from workflow_scripts.text.audit import FitAudit

PUBLISHED = made.PUBLISHED
RECIPES = {column: column for column in COLUMNS}


def fit_audits(folder: Path) -> list[FitAudit]:
    paths = [made.make_fit(folder / f"{name}.json", made.recipe(name)) for name in made.RECIPES]
    return [FitAudit.read(path) for path in paths]


def evidence_of(runs: list[Path], folder: Path) -> Evidence:
    """The evidence of some runs, with answers.parquet and scores.parquet in a folder."""
    made.make_tables(folder, runs)
    scores = read_table(folder / "scores.parquet", SCORES)
    means = means_over_seeds(scores, read_table(folder / "answers.parquet", ANSWERS))
    return gather(runs, scores, means, recipes=RECIPES, published=PUBLISHED)


@pytest.fixture(scope="module")
def evidence(runs, tables) -> Evidence:
    scores = read_table(runs[0].parents[2] / "scores.parquet", SCORES)
    means = read_csv(tables / "over_seeds.csv")
    return gather(runs, scores, means, recipes=RECIPES, published=PUBLISHED)


# --- the table


@pytest.fixture(scope="module")
def table(runs, tables, tmp_path_factory) -> pd.DataFrame:
    """claims.csv, as its stage makes it from the runs."""
    data = tmp_path_factory.mktemp("data")
    made.make_data(data)
    root = runs[0].parents[2]
    judge(
        runs, RECIPES, root / "scores.parquet", tables / "over_seeds.csv", PUBLISHED,
        fit_audits(data), read_json(data / "profile.json"), read_json(data / "reading.json"),
        data / "rows.parquet", data / "claims.csv", own_model=True, scale="toy",
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
    assert table.group.unique().tolist() == [JUDGED, UNTESTED, NUMBERS]
    judged, untested, numbers = (table[table.group == each] for each in (JUDGED, UNTESTED, NUMBERS))
    assert len(judged) + len(untested) == len(claims())
    assert NOT_TESTABLE not in set(judged.kind) and set(untested.kind) == {NOT_TESTABLE}
    # of the numbers, those that are judged come first
    untestable = (numbers.kind == NOT_TESTABLE).tolist()
    assert untestable == sorted(untestable) and not all(untestable)


def test_another_recipe_can_fill_a_column(evidence):
    other = replace(evidence, recipes=RECIPES | {"repaired": "mine"})
    outcomes = outcomes_of(claims()["smaller_batch"], other)
    assert outcomes["repaired"].text == "not trained here"
    assert outcomes["as_written"].text.startswith("eval loss, batch 8 - batch 4")


# --- verdicts


def effect(metric: str, change: str, artefact: str, high: float, n: int = 90) -> dict:
    """A repair that was taken back costs something, and leaves at most `high`."""
    line = {"metric": metric, "change": change, "artefact": artefact, "high": high, "n": n}
    return line | {"split": "test", "effect_high": -0.2}


def test_exact_match_zero_is_an_artefact_and_the_ablation_says_of_what(tmp_path):
    name, entry = "exact_match_zero", claims()["exact_match_zero"]
    runs = [
        made.make_run(tmp_path, made.recipe(recipe), "r", test_rows=90,
                      exact_match=0.25 * (recipe == "repaired"))
        for recipe in made.RECIPES
    ]  # fmt: skip
    evidence = evidence_of(runs, tmp_path)
    outcomes = outcomes_of(entry, evidence)

    def words(*effects: dict) -> str:
        evidence.ablation = pd.DataFrame(list(effects))
        return judge_claim(name, outcomes, evidence)["verdict"]

    assert words() == "artefact of A1 or A2: gone when repaired"
    limit = entry["below"]
    # neither one whose effect is above the limit, nor of too few rows, says more
    effects = [
        effect("exact_match_decoded", "-tokenizer", "A2", limit + 0.01),
        effect("exact_match_decoded", "-prompt", "A1", limit - 0.01, n=LEAST_ROWS - 1),
    ]
    assert words(*effects) == words()
    one = words(*effects, effect("exact_match_decoded", "-prompt", "A1", limit - 0.01))
    suffices = "on these rows A1 suffices to explain it, by the ablation"
    assert one == f"artefact: gone when repaired; {suffices}"


def test_the_loss_quoted_for_batch_4_is_batch_8s(evidence):
    line = next(quoted_lines(evidence))
    assert line["verdict"].startswith("artefact of A10:") and "exp3_bs8_lr1e-4" in line["verdict"]


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
    assert judge_number(0.35, measured, ["A3"], [])["verdict"] == verdict
    missing = judge_number(0.35, measured, ["A3"], [REPORTS_ROWS])
    assert missing["verdict"] == f"not testable here: needs {REPORTS_ROWS}"


def as_scores(values: list[float], rows: int | None = None) -> pd.DataFrame:
    """One score per seed, with its interval over rows where there are some."""
    limits = [wilson(round(value * rows), rows) if rows else (None, None) for value in values]
    frame = pd.DataFrame(limits, columns=["low", "high"], dtype=float)
    return frame.assign(value=values, n=pd.array([rows] * len(values), "Int64"))


@pytest.mark.parametrize("seeds", [2, 10])
def test_a_run_of_the_same_procedure_is_accepted_95_times_in_100(seeds):
    """0.95 +- 0.02 is three standard errors."""
    runs = np.random.default_rng(seeds).normal(0.4, 0.05, (1000, seeds + 1))
    accepted = 0
    for published, *ours in runs:
        measured = {"as_run": one_more_run(as_scores(ours)), "as_written": None, "repaired": None}
        accepted += judge_number(published, measured, [], [])["kind"] == REPRODUCED
    assert 0.93 <= accepted / 1000 <= 0.97


@pytest.mark.parametrize("share", [0.0, 0.005, 0.2])
def test_a_share_of_as_many_other_rows_is_accepted_at_least_as_often(share):
    """One seed, so the interval is made from the one over rows; near 0 it is cautious."""
    hits = np.random.default_rng(3).binomial(203, share, (500, 2)) / 203
    accepted = 0
    for published, ours in hits:
        expected = one_more_run(as_scores([ours], rows=203))
        assert 0 <= expected.low <= expected.high <= 1
        accepted += expected.low <= published <= expected.high
    assert accepted / 500 >= 0.93


AGAINST = "; the report's own numbers speak against it"
YES, NO, UNMEASURED = (Outcome("", finding) for finding in (HOLDS, FAILS, NOT_MEASURED))
MAYBE = Outcome("", OPEN, Mean(0.05, -0.05, 0.15), "the interval holds 0")
FEW = Outcome("", OPEN, doubt="too few rows (3)")
CLEAR = Outcome("", HOLDS, Mean(0.04, 0.03, 0.05))
LARGE = Outcome("", HOLDS, Mean(0.4, 0.3, 0.5))


@pytest.mark.parametrize(
    ("claim", "outcomes", "words"),
    [
        ("slow_rate_underfits", (YES, YES, YES), "reproduced"),
        ("smaller_batch", (YES, NO, NO), "artefact of A3: there as run, gone as written"),
        ("smaller_batch", (NO, NO, NO), "not reproduced"),
        ("smaller_batch", (NO, NO, YES), "not reproduced; holds once repaired"),
        ("smaller_batch", (UNMEASURED,) * 3, f"not testable here: needs {SEVERAL_SEEDS}"),
        # an interval that holds 0 refutes nothing, so it makes no artefact
        ("smaller_batch", (CLEAR, MAYBE, MAYBE),
         "open: there as run, but as written the interval holds 0"),
        ("smaller_batch", (LARGE, MAYBE, MAYBE), "artefact of A3: there as run, less as written"),
        ("smaller_batch", (MAYBE, MAYBE, MAYBE), "open: as written the interval holds 0"),
        ("smaller_batch", (CLEAR, CLEAR, MAYBE),
         "reproduced; open once repaired (the interval holds 0)"),
        ("smaller_batch", (MAYBE, MAYBE, CLEAR),
         "open: as written the interval holds 0; holds once repaired"),
        # nor does one that says nothing, however large it was as run
        ("smaller_batch", (LARGE, FEW, FEW),
         "open: there as run, but as written too few rows (3)"),
        ("smaller_batch", (MAYBE, UNMEASURED, UNMEASURED), "open: as run the interval holds 0"),
        ("smaller_batch", (NO, NO, MAYBE),
         "not reproduced; open once repaired (the interval holds 0)"),
        # A3 and A6 are gone as written already, so repairing the text can't have removed them
        ("rouge_rose", (CLEAR, CLEAR, NO), "reproduced; fails once repaired"),
        ("decomposer_usable", (CLEAR, CLEAR, NO), "artefact of A1 or A2: gone when repaired"),
        ("decomposer_usable", (NO, NO, CLEAR),
         "not reproduced; holds once repaired of A1 or A2"),
        ("refiner_deviates", (MAYBE, MAYBE, CLEAR),
         "artefact of A7: its figure can't show it; the true losses show it under repaired"),
        ("refiner_deviates", (FEW, FEW, MAYBE),
         "artefact of A7: its figure can't show it; "
         "the true losses leave it open (as written too few rows (3))"),
        ("refiner_deviates", (NO, NO, MAYBE),
         "artefact of A7: its figure can't show it; the true losses show the opposite"),
    ],
)  # fmt: skip
def test_a_claim_is_judged_by_where_it_holds(evidence, claim, outcomes, words):
    named = dict(zip(COLUMNS, outcomes, strict=True))
    assert judge_claim(claim, named, evidence)["verdict"].replace(AGAINST, "") == words


def test_a_claim_of_the_reports_rows_needs_them(evidence):
    def judged(claim: str, outcome: Outcome, **change) -> str:
        outcomes = dict.fromkeys(COLUMNS, outcome)
        return judge_claim(claim, outcomes, replace(evidence, **change))["verdict"]

    lacking = judged("answers_too_long", YES, missing=[REPORTS_ROWS])
    assert lacking == f"{NOT_TESTABLE}: needs {REPORTS_ROWS}"
    assert judged("answers_too_long", YES) == REPRODUCED
    assert judged("answers_too_long", NO) == NOT_REPRODUCED
    assert judged("liger_kernel", YES).startswith(NOT_TESTABLE)
    assert judged("smaller_batch", YES) == f"{REPRODUCED}{AGAINST}"


# --- when a claim is decided


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (0.051, 0.2, HOLDS),
        (0.05, 0.2, OPEN),
        (0.01, 0.2, OPEN),
        (0.01, 0.05, OPEN),
        (0.01, 0.049, FAILS),
    ],
)
def test_a_whole_interval_must_lie_on_one_side_of_the_limit(low, high, finding):
    value = Mean(0.05, low, high, "rows", LEAST_ROWS)
    assert decide("", value, 0.05).finding == finding
    turned = {HOLDS: FAILS, FAILS: HOLDS}
    assert decide("", value, 0.05, "below").finding == turned.get(finding, finding)


# --- claims that compare trainings


def outcome_of(name: str, runs: list[Path], tables: Path) -> Outcome:
    entry = claims()[name]
    test = tests_of_claims.TESTS[entry["test"]]
    return test(evidence_of(runs, tables), "repaired", entry)


@pytest.mark.parametrize(
    ("large", "converged", "rows", "finding", "doubt"),
    [
        ([1.2, 1.1, 1.0], True, LEAST_ROWS, HOLDS, ""),
        ([0.3, 0.2, 0.1], True, LEAST_ROWS, FAILS, ""),
        # the limit of epochs is part of what was done: judged, and said
        ([1.2, 1.1, 1.0], False, LEAST_ROWS, HOLDS, ""),
        ([1.2, 1.1, 1.0], True, LEAST_ROWS - 1, OPEN, "too few rows (11)"),
        # at the end 0.8 - 0.4, at equal steps 0.8 - 0.9
        ([0.9, 0.85, 0.8], True, LEAST_ROWS, OPEN,
         "at equal epochs and at equal steps the difference has opposite signs"),
    ],
)  # fmt: skip
def test_a_claim_on_batch_sizes_is_judged_by_losses_on_enough_rows(
    tmp_path, large, converged, rows, finding, doubt
):
    runs = grid(tmp_path, SMALL, large, converged=converged, rows=rows)
    outcome = outcome_of("smaller_batch", runs, tmp_path)
    assert (outcome.finding, outcome.doubt) == (finding, doubt)
    assert outcome.text.endswith("; 4 of 4 runs had not converged") != converged


def test_pairs_of_one_seed_count_once(tmp_path):
    """Two learning rates of two seeds: the interval is over two values, not four."""
    runs = [
        made.make_run(tmp_path, made.recipe("repaired"), f"exp3_bs{batch}_lr{name}", seed=seed,
                      batch_size=batch, learning_rate=float(name), end=end + seed / 10, test_rows=1)
        for seed in (1, 2) for name, end in (("3e-5", 0.5), ("1e-4", 0.25)) for batch in (4, 8)
    ]  # fmt: skip
    losses = read_runs(runs).pivot_table("best_eval_loss", "seed", "learning_rate")
    outcome = outcome_of("slow_rate_underfits", runs, tmp_path)
    difference = str(over_seeds((losses[3e-5] - losses[1e-4]).tolist()))
    assert difference in outcome.text and "mean of 4 pairs" in outcome.text


def test_what_no_run_has_reached_is_not_compared_and_one_seed_decides_nothing(tmp_path):
    """Batch 8 stops at step 15, before batch 4 has ended its first epoch."""
    runs = grid(tmp_path, [0.9, 0.5], [1.0])
    outcome = outcome_of("smaller_batch", runs, tmp_path)
    assert "equal epochs" in outcome.text and "equal steps" not in outcome.text
    assert outcome.finding == HOLDS
    outcome = outcome_of("smaller_batch", runs[:2], tmp_path)
    assert outcome.text.endswith("(no interval)") and outcome.finding == NOT_MEASURED


@pytest.mark.parametrize(("rival", "finding"), [(0.6, HOLDS), (0.2, FAILS), (None, NOT_MEASURED)])
def test_the_choice_is_best_where_it_is_ahead_of_each_rival(tmp_path, rival, finding):
    rivals = {"exp3_bs8_lr1e-4": rival, "mine": 0.8} if rival else {}
    ends = {PUBLISHED["text"]["chosen_run"]: 0.4} | rivals
    runs = [
        made.make_run(tmp_path, made.recipe("repaired"), name, seed=seed, end=end + seed / 1000,
                      test_rows=1)
        for name, end in ends.items()
        for seed in (1, 2, 3, 4)
    ]  # fmt: skip
    outcome = outcome_of("chosen_is_best", runs, tmp_path)
    assert outcome.finding == finding, outcome.text
    assert not rival or "corrected for 2 comparisons, eval loss, exp3_bs8" in outcome.text
