"""What became of the report's claims and numbers: results/tables/claims.csv.

Claims in words are judged in claims.py. Here stand the numbers of its scores, its text and its data
set, each beside what was measured.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.report.artefacts import suspects
from workflow_scripts.report.claims import (
    ARTEFACT,
    COLUMNS,
    JUDGED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    NUMBERS,
    OPEN,
    REPORTS_ROWS,
    REPRODUCED,
    UNTESTED,
    Evidence,
    Verdict,
    claim_lines,
    line_of,
    too_few,
    with_values,
)
from workflow_scripts.report.frames import read_epochs, read_runs, read_steps
from workflow_scripts.report.means import Mean, mean_score, one_more_run
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, TEXT, read_csv, read_table, write_csv
from workflow_scripts.text.audit import FitAudit

# field of a published run -> (words, metric, split)
SCORED = {
    "best_eval_loss": ("lowest evaluation loss", "eval_loss", "val"),
    "rouge_l_val": ("ROUGE-L, validation rows", "rouge_l_decoded", "val"),
    "exact_match_val": ("exact match, validation rows", "exact_match_decoded", "val"),
    "rouge_l_train": ("ROUGE-L, training rows", "rouge_l_decoded", "train"),
    "exact_match_train": ("exact match, training rows", "exact_match_decoded", "train"),
}
OWN_LOG = "quoted_loss"  # id of the losses that the text gives, in resources/artefacts.yaml


def judge_number(
    published: float,
    measured: dict[str, Mean | None],
    possible: list[str],
    missing: list[str],
) -> Verdict:
    """Reproduced where it lies, as run (else as written), where one more run would.

    `measured`: column -> `one_more_run`; `possible`: the artefacts that could have made the
    difference between these two columns.
    """
    if missing:
        return Verdict.of(NOT_TESTABLE, f"needs {' and '.join(missing)}")
    known = {column: mean for column in COLUMNS[:2]
             if (mean := measured[column]) and mean.has_interval}  # fmt: skip
    if not known:
        return Verdict.of(NOT_TESTABLE, "an interval needs two seeds that differ")
    for column in reversed(known):
        if doubt := too_few(known[column].rows):
            return Verdict.of(OPEN, f"{column.replace('_', ' ')} {doubt}")
    inside = {column: mean.low <= published <= mean.high for column, mean in known.items()}
    if inside.get("as_run") and inside.get("as_written") is False and possible:
        head = f"artefact of {' or '.join(possible)}"
        return Verdict.of(ARTEFACT, "one more run may give it as run, not as written", head=head)
    decisive, mean = next(iter(known.items()))
    expected = f"one more run gives {mean.low:.3f} to {mean.high:.3f} (95%, over {mean.over})"
    return Verdict.of(REPRODUCED if inside[decisive] else NOT_REPRODUCED, expected)


def number_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """One line for each number that the notebooks printed of a run."""
    for name, run in evidence.published["runs"].items():
        carried = [] if run["starts_from"] == "base" else ["A3"]
        for key, (words, metric, split) in SCORED.items():
            if run.get(key) is not None:
                of_others = metric != "eval_loss" and run["scored_on"] != "self"
                possible = [*carried, "A6"] if of_others else carried
                measured = _by_column(evidence, name, metric, split)
                claim = f"{name}: {words}"
                yield _number_line(claim, run[key], measured, possible or suspects(key), evidence)
        epochs = {}
        for column, recipe in evidence.recipes.items():
            own = evidence.named(recipe, name)
            epochs[column] = own[[]].assign(
                metric="epochs_done", value=own.epochs_done, low=math.nan, high=math.nan, n=pd.NA
            )
        yield _number_line(f"{name}: epochs done", run["epochs_done"], epochs, carried, evidence)


def _by_column(
    evidence: Evidence, name: str, metric: str, split: str = "val"
) -> dict[str, pd.DataFrame]:
    """Column of the claims -> one score per seed."""
    return {
        column: evidence.seeds(evidence.recipes[column], name, metric, split) for column in COLUMNS
    }


def _number_line(
    claim: str,
    published: float,
    measured: dict[str, pd.DataFrame],
    possible: list[str],
    evidence: Evidence,
) -> dict[str, str]:
    texts = {column: str(mean_score(seeds, evidence.answers) or "")
             for column, seeds in measured.items()}  # fmt: skip
    expected = {column: one_more_run(seeds) for column, seeds in measured.items()}
    verdict = judge_number(published, expected, possible, evidence.missing)
    return line_of(NUMBERS, claim, f"{published:.4g}", texts, verdict)


def quoted_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """Losses that the text gives for a run, checked against the report's own log (A10)."""
    logged = {name: run["best_eval_loss"] for name, run in evidence.published["runs"].items()}
    for name, value in evidence.published["text"]["best_eval_loss"].items():
        words = f"{name}: evaluation loss given in the text (6)"
        measured = _by_column(evidence, name, "eval_loss")
        line = _number_line(words, value, measured, suspects(OWN_LOG), evidence)
        nearest = min(logged, key=lambda run: abs(logged[run] - value))
        if nearest != name:
            why = f"its own log has {logged[name]:.3f} for this run; "
            why += f"{logged[nearest]:.3f} is {nearest}'s"
            line |= {"kind": ARTEFACT, "verdict": f"artefact of A10: {why}"}
        yield line


def data_lines(evidence: Evidence, profile: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Section 3.1: counts, duplicates, empty fields; the same for every recipe."""
    published = evidence.published["dataset"]
    empty = sum(fields["source"] + fields["target"] for fields in profile["empty"].values())
    facts = [("rows in the data set", published["rows"], profile["rows"])]
    facts += [
        (f"rows of the task {task}", count, profile["tasks"][task])
        for task, count in published["tasks"].items()
    ]
    facts += [
        ("duplicate rows", 0, profile["duplicates"]["source and target"]["rows"]),
        ("rows with an empty source or target", 0, empty),
        ("anomalies", 0, sum(finding["rows"] for finding in profile["anomalies"].values())),
    ]
    for words, claimed, counted in facts:
        verdict = Verdict.of(REPRODUCED if claimed == counted else NOT_REPRODUCED)
        if REPORTS_ROWS in evidence.missing:
            verdict = Verdict.of(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
        measured = dict.fromkeys(COLUMNS, str(counted))
        yield line_of(NUMBERS, f"{words} (3.1)", str(claimed), measured, verdict)


def judge(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    recipes: Annotated[dict, Setting("the recipe of each column of the claims")],
    answers: Annotated[Path, Input("answers.parquet")],
    scores: Annotated[Path, Input("scores.parquet")],
    published: Annotated[dict, Input("resources/published.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    profile: Annotated[dict, Input("profile.json")],
    reading: Annotated[dict, Input("reading.json: whether the rows are the report's")],
    rows: Annotated[Path, Input("rows.parquet: which rows name a database")],
    table: Annotated[Path, Output("claims.csv")],
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    own_model: Annotated[bool, Setting("whether the base model is not the report's")] = False,
    scale: Annotated[str, Setting("toy, rehearsal, real or own: the rows and the model")] = "own",
) -> None:
    frame, numbers = read_runs(runs), read_table(scores, SCORES)
    lacks = [(not reading["is_the_reports_file"], REPORTS_ROWS), (own_model, "its base model")]
    named = read_table(rows, {"db_id": TEXT}).db_id
    steps = read_steps(Path(folder) for folder in frame[frame.experiment == 1].folder)
    evidence = Evidence(
        runs=with_values(frame, steps, numbers),
        epochs=read_epochs(runs),
        scores=numbers,
        answers=read_table(answers, ANSWERS),
        recipes=recipes,
        published=published,
        fit={audit.recipe: audit for audit in fit},
        linked_rows=float(named.notna().mean()),
        ablation=pd.concat([read_csv(path) for path in ablation]) if ablation else pd.DataFrame(),
        missing=[what for missing, what in lacks if missing],
    )
    lines = [*claim_lines(evidence), *quoted_lines(evidence), *data_lines(evidence, profile)]
    lines += number_lines(evidence)
    groups = [JUDGED, UNTESTED, NUMBERS]
    lines.sort(key=lambda line: (groups.index(line["group"]), line["kind"] == NOT_TESTABLE))
    write_csv(table, pd.DataFrame(lines).assign(scale=scale))


if __name__ == "__main__":
    run_stage(judge)
