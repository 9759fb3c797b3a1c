"""The report's numbers, each beside what was measured here: its scores, its text, its data set."""

from collections.abc import Iterator
from statistics import fmean

from workflow_scripts.artifacts.claims import COLUMNS, ClaimLine, Column, Kind, Verdict
from workflow_scripts.artifacts.published import PublishedRun
from workflow_scripts.report.artefacts import suspects
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.verdicts import REPORTS_ROWS, judge_number, untestable
from workflow_scripts.report.runs import Measured, over_seeds

# field of a published run -> (words, metric, split)
SCORES = {
    "best_eval_loss": ("lowest evaluation loss", "eval_loss", "val"),
    "rouge_l_val": ("ROUGE-L, validation rows", "rouge_l_decoded", "val"),
    "exact_match_val": ("exact match, validation rows", "exact_match_decoded", "val"),
    "rouge_l_train": ("ROUGE-L, training rows", "rouge_l_decoded", "train"),
    "exact_match_train": ("exact match, training rows", "exact_match_decoded", "train"),
}
OWN_LOG = "quoted_loss"  # id of the losses that the text gives, in resources/artefacts.yaml


def run_lines(evidence: Evidence) -> Iterator[ClaimLine]:
    """One line for each number that the notebooks printed of a run."""
    for name, published in evidence.published.runs.items():
        for key, (words, metric, split) in SCORES.items():
            value = getattr(published, key)
            if value is not None:
                measured = _measured(evidence, name, metric, split)
                possible = _suspects(published, metric == "eval_loss") or suspects(key)
                yield _line(f"{name}: {words}", value, measured, possible, evidence)
        yield _epochs_line(name, published, evidence)
        yield _time_line(name, published, evidence)


def text_lines(evidence: Evidence) -> Iterator[ClaimLine]:
    """Losses that the text gives for a run, checked against the report's own log (A10)."""
    logged = {name: run.best_eval_loss for name, run in evidence.published.runs.items()}
    for name, value in evidence.published.text.best_eval_loss.items():
        nearest = min(logged, key=lambda run: abs(logged[run] - value))
        measured = _measured(evidence, name, "eval_loss")
        words = f"{name}: evaluation loss given in the text (6)"
        line = _line(words, value, measured, suspects(OWN_LOG), evidence)
        if nearest != name:
            verdict = Verdict(
                kind=Kind.ARTEFACT,
                artefacts=["A10"],
                detail=f"its own log has {logged[name]:.3f} for this run; "
                f"{logged[nearest]:.3f} is {nearest}'s",
            )
            line = line.model_copy(update={"verdict": verdict})
        yield line


def data_lines(evidence: Evidence) -> Iterator[ClaimLine]:
    """Section 3.1: counts, duplicates, empty fields; the same for every recipe."""
    profile, published = evidence.profile, evidence.published.dataset
    if profile is None:
        return
    empty = sum(fields["source"] + fields["target"] for fields in profile.empty.values())
    anomalies = sum(finding.rows for finding in profile.anomalies.values())
    facts = [("rows in the data set", published.rows, profile.rows)]
    facts += [
        (f"rows of the task {task}", count, profile.tasks[task])
        for task, count in published.tasks.items()
    ]
    facts += [
        ("duplicate rows", 0, profile.duplicates["source and target"].rows),
        ("rows with an empty source or target", 0, empty),
        ("anomalies", 0, anomalies),
    ]
    for words, claimed, found in facts:
        kind = Kind.REPRODUCED if claimed == found else Kind.NOT_REPRODUCED
        own_rows = REPORTS_ROWS in evidence.missing
        yield ClaimLine(
            claim=f"{words} (3.1)",
            published=str(claimed),
            measured=dict.fromkeys(COLUMNS, str(found)),
            verdict=untestable(REPORTS_ROWS) if own_rows else Verdict(kind=kind),
        )


def _measured(
    evidence: Evidence, name: str, metric: str, split: str = "val"
) -> dict[Column, Measured | None]:
    return evidence.by_column(lambda recipe: evidence.score(recipe, name, metric, split))


def _line(
    claim: str,
    published: float,
    measured: dict[Column, Measured | None],
    possible: list[str],
    evidence: Evidence,
) -> ClaimLine:
    return ClaimLine(
        claim=claim,
        published=f"{published:.4g}",
        measured={column: str(value or "") for column, value in measured.items()},
        verdict=judge_number(published, measured, possible, evidence),
    )


def _suspects(published: PublishedRun, is_a_loss: bool) -> list[str]:
    """What differs between the columns as run and as written for a number of this run."""
    found = [] if published.starts_from == "base" else ["A3"]
    return found if is_a_loss or published.scored_on == "self" else [*found, "A6"]


def _epochs_line(name: str, published: PublishedRun, evidence: Evidence) -> ClaimLine:
    def epochs(recipe: str) -> Measured | None:
        return over_seeds([run.training.epochs_done for run in evidence.named(recipe, name)])

    measured = evidence.by_column(epochs)
    possible = _suspects(published, is_a_loss=True)
    words = f"{name}: epochs done"
    line = _line(words, published.epochs_done, measured, possible, evidence)
    shown = {column: f"{value.value:g}" if value else "" for column, value in measured.items()}
    return line.model_copy(update={"measured": shown})


def _time_line(name: str, published: PublishedRun, evidence: Evidence) -> ClaimLine:
    def time(recipe: str) -> str:
        seconds = [run.provenance.seconds["train"] for run in evidence.named(recipe, name)]
        return "{:02d}:{:02d}".format(*divmod(int(fmean(seconds)), 60)) if seconds else ""

    return ClaimLine(
        claim=f"{name}: training time (mm:ss)",
        published=published.train_time,
        measured=evidence.by_column(time),
        verdict=untestable("the report's machine"),
    )
