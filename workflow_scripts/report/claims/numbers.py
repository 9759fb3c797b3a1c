"""The report's numbers, each beside what was measured here: its scores, its text, its data set."""

import functools
import math
from collections.abc import Iterable, Iterator

import pandas as pd

from workflow_scripts.artifacts.published import PublishedRun
from workflow_scripts.report.artefacts import suspects
from workflow_scripts.report.claims.evidence import COLUMNS, OPEN, Evidence, too_few
from workflow_scripts.report.claims.verdict import (
    ARTEFACT,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    NUMBERS,
    REPORTS_ROWS,
    REPRODUCED,
    Verdict,
    line_of,
)
from workflow_scripts.report.means import Mean, mean_score, one_more_run

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
    possible: Iterable[str],
    missing: list[str],
) -> Verdict:
    """Reproduced where it lies, as run (else as written), where one more run would.

    `measured`: column -> `one_more_run`; `possible`: the artefacts that could have made the
    difference between these two columns.
    """
    if missing:
        return Verdict(NOT_TESTABLE, f"needs {' and '.join(missing)}")
    known = {
        column: mean
        for column in ("as_run", "as_written")
        if (mean := measured[column]) and mean.has_interval
    }
    inside = {column: mean.low <= published <= mean.high for column, mean in known.items()}
    if not inside:
        return Verdict(NOT_TESTABLE, "an interval needs two seeds that differ")
    doubts = {column: doubt for column, mean in known.items() if (doubt := too_few(mean.rows))}
    if doubts:
        column = "as_written" if "as_written" in doubts else "as_run"
        return Verdict(OPEN, f"{column.replace('_', ' ')} {doubts[column]}")
    possible = tuple(possible)
    if inside.get("as_run") and inside.get("as_written") is False and possible:
        return Verdict(ARTEFACT, "one more run may give it as run, not as written", possible)
    decisive, mean = next(iter(known.items()))
    expected = f"one more run gives {mean.low:.3f} to {mean.high:.3f} (95%, over {mean.over})"
    return Verdict(REPRODUCED if inside[decisive] else NOT_REPRODUCED, expected)


def number_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """One line for each number that the notebooks printed of a run."""
    for name, run in evidence.published.runs.items():
        for key, (words, metric, split) in SCORED.items():
            value = getattr(run, key)
            if value is not None:
                measured = evidence.by_column(
                    functools.partial(evidence.seeds, name=name, metric=metric, split=split)
                )
                possible = _differing(run, metric == "eval_loss") or suspects(key)
                yield _number_line(f"{name}: {words}", value, measured, possible, evidence)

        def epochs(recipe: str, name: str = name) -> pd.DataFrame:
            runs = evidence.named(recipe, name)
            return runs[[]].assign(
                metric="epochs_done", value=runs.epochs_done, low=math.nan, high=math.nan, n=pd.NA
            )

        measured = evidence.by_column(epochs)
        yield _number_line(
            f"{name}: epochs done", run.epochs_done, measured, _differing(run, True), evidence
        )


def _differing(run: PublishedRun, is_a_loss: bool) -> list[str]:
    """What differs between the columns as run and as written for a number of this run."""
    carried = [] if run.starts_from == "base" else ["A3"]
    return carried if is_a_loss or run.scored_on == "self" else [*carried, "A6"]


def _number_line(
    claim: str,
    published: float,
    measured: dict[str, pd.DataFrame],
    possible: Iterable[str],
    evidence: Evidence,
) -> dict[str, str]:
    """`measured`: column -> one score per seed."""
    texts = {
        column: str(mean_score(seeds, evidence.answers) or "") for column, seeds in measured.items()
    }
    expected = {column: one_more_run(seeds) for column, seeds in measured.items()}
    verdict = judge_number(published, expected, possible, evidence.missing)
    return line_of(NUMBERS, claim, f"{published:.4g}", texts, verdict)


def quoted_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """Losses that the text gives for a run, checked against the report's own log (A10)."""
    logged = {name: run.best_eval_loss for name, run in evidence.published.runs.items()}
    for name, value in evidence.published.text.best_eval_loss.items():
        nearest = min(logged, key=lambda run: abs(logged[run] - value))
        measured = evidence.by_column(
            functools.partial(evidence.seeds, name=name, metric="eval_loss")
        )
        words = f"{name}: evaluation loss given in the text (6)"
        line = _number_line(words, value, measured, suspects(OWN_LOG), evidence)
        if nearest != name:
            why = f"its own log has {logged[name]:.3f} for this run; "
            verdict = Verdict(ARTEFACT, f"{why}{logged[nearest]:.3f} is {nearest}'s", ("A10",))
            line |= {"kind": verdict.kind, "verdict": str(verdict)}
        yield line


def data_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """Section 3.1: counts, duplicates, empty fields; the same for every recipe."""
    profile, published = evidence.profile, evidence.published.dataset
    empty = sum(fields["source"] + fields["target"] for fields in profile.empty.values())
    facts = [("rows in the data set", published.rows, profile.rows)]
    facts += [
        (f"rows of the task {task}", count, profile.tasks[task])
        for task, count in published.tasks.items()
    ]
    facts += [
        ("duplicate rows", 0, profile.duplicates["source and target"].rows),
        ("rows with an empty source or target", 0, empty),
        ("anomalies", 0, sum(finding.rows for finding in profile.anomalies.values())),
    ]
    for words, claimed, counted in facts:
        verdict = Verdict(REPRODUCED if claimed == counted else NOT_REPRODUCED)
        if REPORTS_ROWS in evidence.missing:
            verdict = Verdict(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
        measured = dict.fromkeys(COLUMNS, str(counted))
        yield line_of(NUMBERS, f"{words} (3.1)", str(claimed), measured, verdict)
