"""The claims table: every number and sentence of the report, and what became of it here.

Columns: claim, published, as_run, as_written, repaired, verdict. The verdict is computed:
reproduced (inside the 95 % interval), not reproduced (shown to be otherwise, or left open by an
interval that holds 0), artefact of A<n> (there as the notebooks ran and less or gone as the report
is written, or gone once repaired and explained by the ablation), not testable here (and why).
"""

import argparse
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.artifacts.published import Published, PublishedRun
from workflow_scripts.errors import run_cli
from workflow_scripts.files import read_json, write_text
from workflow_scripts.report.claims.evidence import RECIPES, Evidence, Measured, over_seeds
from workflow_scripts.report.claims.measure import Outcome, Sentence
from workflow_scripts.report.claims.statements import SENTENCES
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import read_runs

CAPTION = """\
Every claim of the report and every number that its notebooks printed, with what became of it.

**How to read it.** *Published*: the report. *As run*: the notebooks' procedure, mistakes included.
*As written*: what the report describes, honestly executed. *Repaired*: the text handling mended
too. The verdict is computed from the runs: *reproduced* (inside the 95 % interval, or the
difference lies clearly on the claimed side), *not reproduced* (the opposite was measured, or it
stays open because the interval holds 0), *artefact* (with its number; the ablation narrows it down
once it was run), *not testable here* (with what is missing; what compares trainings needs several
seeds). What each column was measured on stands below its name.
"""

CAPTION_CSV = """\
The table of claims as CSV: claim, published, as_run, as_written, repaired, verdict. The first line
says what each column was measured on.
"""

COLUMNS = ["claim", "published", *RECIPES, "verdict"]
Row = dict[str, str]
# key in published.json -> (words, metric, split, artefacts that bear on the number itself)
SCORES = {
    "best_eval_loss": ("lowest evaluation loss", "eval_loss", "val", ("A4",)),
    "rouge_l_val": ("ROUGE-L, validation rows", "rouge_l_decoded", "val", ("A5",)),
    "exact_match_val": ("exact match, validation rows", "exact_match_decoded", "val", ("A5",)),
    "rouge_l_train": ("ROUGE-L, training rows", "rouge_l_decoded", "train", ("A5",)),
    "exact_match_train": ("exact match, training rows", "exact_match_decoded", "train", ("A5",)),
}
# What a recipe is rid of that the one before it has (docs/artefacts.md).
REMOVED = {"as_written": ("A3", "A6", "A10"), "repaired": ("A1", "A2", "A4", "A5")}
ROWS = "the report's rows"
OPEN = "not reproduced: open"


def sentence_row(sentence: Sentence, evidence: Evidence) -> Row:
    outcomes = sentence.measure(evidence)
    published = sentence.published(evidence)
    row = {"claim": sentence.claim, "published": published.text}
    row |= {recipe: outcome.text for recipe, outcome in outcomes.items()}
    return row | {"verdict": sentence_verdict(sentence, outcomes, published, evidence)}


def sentence_verdict(
    sentence: Sentence, outcomes: dict[str, Outcome], published: Outcome, evidence: Evidence
) -> str:
    as_run, as_written, repaired = (outcomes[recipe] for recipe in RECIPES)
    if sentence.needs:
        return f"not testable here: {sentence.needs}"
    if sentence.of_the_rows and ROWS in evidence.missing:
        return f"not testable here: needs {ROWS}"
    if not (as_run.measured or as_written.measured):
        return f"not testable here: needs several seeds (configs/seeds.yaml){_against(published)}"
    procedure, text = (_among(sentence.suspects, REMOVED[recipe]) for recipe in RECIPES[1:])
    if (as_written if as_written.measured else as_run).holds:
        if text and as_written.holds and repaired.holds is False:
            return f"artefact of {explained_by(text, sentence, evidence)}: gone when repaired"
        gone = "; gone once repaired" if repaired.holds is False else ""
        gone = "; open once repaired" if repaired.open else gone
        return f"reproduced{gone}{_against(published)}"
    if procedure and as_run.holds:
        if as_written.holds is False:
            return f"artefact of {' or '.join(procedure)}: there as run, gone as written"
        if as_written.less_than(as_run):
            return f"artefact of {' or '.join(procedure)}: there as run, less as written"
    if "A7" in sentence.suspects and published.holds:
        return f"artefact of A7: its figure can't show it; the true losses {_shown(outcomes)}"
    also = _against(published)
    if repaired.holds:
        cause = f" of {explained_by(text, sentence, evidence)}" if text else ""
        head = f"{OPEN} as written" if as_written.open else "not reproduced"
        return f"{head}; holds once repaired{cause}"
    if as_written.open:
        run = "there as run, but " if as_run.holds else ""
        return f"{OPEN}, {run}as written the interval holds 0{also}"
    return f"not reproduced{also}"


def _against(published: Outcome) -> str:
    return "; the report's own numbers speak against it" if published.holds is False else ""


def _among(suspects: tuple[str, ...], removed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(artefact for artefact in suspects if artefact in removed)


def _shown(outcomes: dict[str, Outcome]) -> str:
    """What measuring a claim gave that the report read from a wrong figure."""
    showing = [recipe for recipe, outcome in outcomes.items() if outcome.holds]
    if showing:
        return f"show it under {' and '.join(showing)}"
    refuted = any(outcome.holds is False for outcome in outcomes.values())
    return "show the opposite" if refuted else "leave it open"


def explained_by(suspects: tuple[str, ...], sentence: Sentence, evidence: Evidence) -> str:
    """The suspects, narrowed to those whose repair, taken back alone, costs exact match."""
    if evidence.ablation is None:
        return " or ".join(suspects)
    frame = evidence.ablation
    backwards = frame["repair"].astype(str).str.startswith("-")
    costs = frame[(frame["metric"] == sentence.ablated) & backwards & (frame["effect_high"] < 0)]
    guilty = [artefact for artefact in suspects if artefact in set(costs["artefact"])]
    return " and ".join(guilty) + " (by the ablation)" if guilty else " or ".join(suspects)


def number_rows(evidence: Evidence) -> Iterator[Row]:
    """One row for each number that the notebooks printed."""
    for name, published in evidence.published.runs.items():
        for key, (words, metric, split, artefacts) in SCORES.items():
            if getattr(published, key) is not None:
                measured = {
                    recipe: evidence.score(recipe, name, metric, split) for recipe in RECIPES
                }
                row = {"claim": f"{name}: {words}", "published": f"{getattr(published, key):.4g}"}
                row |= {recipe: _cell(value) for recipe, value in measured.items()}
                suspects = _suspects(published, artefacts, metric)
                verdict = number_verdict(getattr(published, key), measured, suspects, evidence)
                yield row | {"verdict": verdict}
        yield from _epochs_and_time(name, published, evidence)


def number_verdict(
    published: float,
    measured: dict[str, Measured | None],
    suspects: tuple[str, ...],
    evidence: Evidence,
) -> str:
    if evidence.missing:
        return f"not testable here: needs {' and '.join(evidence.missing)}"
    inside = {
        recipe: value.low <= published <= value.high
        for recipe, value in measured.items()
        if value is not None and value.has_interval
    }
    if not inside:
        return "not testable here: an interval needs at least two seeds"
    if inside.get("as_run") and inside.get("as_written") is False and suspects:
        return f"artefact of {' or '.join(suspects)}: inside the interval as run, not as written"
    if inside.get("as_run", inside.get("as_written")):
        over = next(value.over for value in measured.values() if value and value.has_interval)
        return f"reproduced (inside the interval over {over})"
    return "not reproduced"


def _suspects(published: PublishedRun, own: tuple[str, ...], metric: str) -> tuple[str, ...]:
    """What differs between `as_run` and `as_written` for this number."""
    found = []
    if published.starts_from != "base":
        found.append("A3")
    if published.scored_on != "self" and metric != "eval_loss":
        found.append("A6")
    return tuple(found) or own


def _epochs_and_time(name: str, published: PublishedRun, evidence: Evidence) -> Iterator[Row]:
    measured = {
        recipe: over_seeds([run.training.epochs_done for run in evidence.named(recipe, name)])
        for recipe in RECIPES
    }
    suspects = _suspects(published, (), "eval_loss")
    row = {"claim": f"{name}: epochs done", "published": str(published.epochs_done)}
    row |= {recipe: f"{value.value:g}" if value else "" for recipe, value in measured.items()}
    verdict = number_verdict(published.epochs_done, measured, suspects, evidence)
    yield row | {"verdict": verdict}
    row = {"claim": f"{name}: training time (mm:ss)", "published": published.train_time}
    for recipe in RECIPES:
        seconds = [run.provenance.seconds["train"] for run in evidence.named(recipe, name)]
        mean = sum(seconds) / len(seconds) if seconds else math.nan
        row[recipe] = f"{int(mean) // 60:02d}:{int(mean) % 60:02d}" if seconds else ""
    yield row | {"verdict": "not testable here: needs the report's machine"}


def text_rows(evidence: Evidence) -> Iterator[Row]:
    """Numbers that the text gives for a run, checked against the report's own log (A10)."""
    log = {name: run.best_eval_loss for name, run in evidence.published.runs.items()}
    for name, value in evidence.published.text.best_eval_loss.items():
        nearest = min(log, key=lambda each: abs(log[each] - value))
        measured = {recipe: evidence.score(recipe, name, "eval_loss") for recipe in RECIPES}
        row = {"claim": f"{name}: evaluation loss given in the text (6)", "published": f"{value}"}
        row |= {recipe: _cell(each) for recipe, each in measured.items()}
        if nearest == name:
            verdict = number_verdict(value, measured, ("A3",), evidence)
        else:
            verdict = (
                f"artefact of A10: its own log has {log[name]:.3f} for this run; "
                f"{log[nearest]:.3f} is {nearest}'s"
            )
        yield row | {"verdict": verdict}


def data_rows(evidence: Evidence) -> Iterator[Row]:
    """Section 3.1: counts, duplicates, empty fields; the same for every recipe."""
    profile, published = evidence.profile, evidence.published.dataset
    if not profile:
        return
    facts = [("rows in the data set", published.rows, profile["rows"])]
    facts += [
        (f"rows of the task {task}", count, profile["tasks"][task])
        for task, count in published.tasks.items()
    ]
    duplicates = profile["duplicates"]["source and target"]["rows"]
    empty = sum(
        count
        for fields in profile["empty"].values()
        for name, count in fields.items()
        if name in ("source", "target")
    )
    facts += [("duplicate rows", 0, duplicates), ("rows with an empty source or target", 0, empty)]
    anomalies = sum(each["rows"] for each in profile["anomalies"].values())
    facts.append(("anomalies", 0, anomalies))
    for words, claimed, found in facts:
        row = {"claim": f"{words} (3.1)", "published": str(claimed)}
        row |= dict.fromkeys(RECIPES, str(found))
        if ROWS in evidence.missing:
            verdict = f"not testable here: needs {ROWS}"
        else:
            verdict = "reproduced" if claimed == found else "not reproduced"
        yield row | {"verdict": verdict}


def claims(evidence: Evidence, note: str) -> pd.DataFrame:
    """All rows; the first says what each column was measured on."""
    trained = {run.recipe for run in evidence.runs}
    head = {"claim": "(measured on)", "published": "the report's rows and base model"}
    basis = note or "the report's rows and base model"
    head |= {recipe: basis if recipe in trained else "not trained here" for recipe in RECIPES}
    rows = [head | {"verdict": f"computed on {basis}"}]
    rows += [sentence_row(sentence, evidence) for sentence in SENTENCES]
    rows += [*text_rows(evidence), *data_rows(evidence), *number_rows(evidence)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _cell(value: Measured | None) -> str:
    return "" if value is None else str(value)


def verdict_tag(verdict: str) -> html.Markup:
    head, *rest = re.split("[:;]", verdict, maxsplit=1)
    kind = "good" if head.startswith("reproduced") else "bad"
    if verdict.startswith(("not testable", OPEN)):
        kind = "unsure"
    tail = "".join(f" {html.escape(part.strip())}" for part in rest)
    return html.Markup(f"{html.tag(head, kind)}{tail}")


def page(frame: pd.DataFrame, note: str) -> str:
    head, rows = frame.iloc[0], frame.iloc[1:]
    subheads = {column: head[column] for column in COLUMNS[1:]}
    lead = (
        '<p class="lead">Every claim of the report: in words first, then every number that its '
        "notebooks printed. <em>as run</em>: what the notebooks did, artefacts included. "
        "<em>as written</em>: what the report describes, honestly executed. <em>repaired</em>: "
        "the text handling mended too. Brackets hold 95 % intervals. The verdict is computed. What "
        "A1 to A12 are is told on the page of this report called Workflow.</p>"
    )
    body = [
        [*row[:-1], verdict_tag(row[-1])]
        for row in rows[COLUMNS].itertuples(index=False, name=None)
    ]
    names = [column.replace("_", " ") for column in COLUMNS]
    table = html.table(
        names, body, {n: subheads[c] for n, c in zip(names, COLUMNS, strict=True) if c in subheads}
    )
    return html.page("Claims of the report and what became of them", note, f"{lead}\n{table}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="run folders of all recipes")
    parser.add_argument("--fit", nargs="*", default=[], help="results/fit/<recipe>.json")
    parser.add_argument("--ablation", help="results/tables/ablation.csv, when it was made")
    parser.add_argument("--profile", help="results/data/profile.json")
    parser.add_argument("--reading", help="results/data/reading.json: whether the file is known")
    parser.add_argument("--rows", help="results/data/rows.parquet: which rows name a database")
    parser.add_argument("--own-model", action="store_true", help="not the report's base model")
    parser.add_argument("--published", required=True, help="resources/published.json")
    parser.add_argument("--note", default="", help="small print: what the data and model are")
    parser.add_argument("--folder", required=True, help="where claims.csv and claims.html go")
    args = parser.parse_args()
    missing = []
    if not (args.reading and read_json(args.reading)["is_the_reports_file"]):
        missing.append(ROWS)
    if args.own_model:
        missing.append("its base model")
    evidence = Evidence(
        runs=read_runs(args.runs),
        published=Published.read(args.published),
        fit={audit["recipe"]: audit for audit in map(read_json, args.fit)},
        profile=read_json(args.profile) if args.profile else {},
        linked_rows=_linked(args.rows) if args.rows else math.nan,
        ablation=pd.read_csv(args.ablation) if args.ablation else None,
        missing=tuple(missing),
    )
    frame = claims(evidence, args.note)
    text = frame.to_csv(index=False, lineterminator="\n")
    write_text(Path(args.folder) / "claims.csv", text)
    write_text(Path(args.folder) / "claims.html", page(frame, args.note))


def _linked(rows: str) -> float:
    """Share of rows that name their database."""
    column = pq.read_table(rows, columns=["db_id"])["db_id"]
    return 1 - column.null_count / max(len(column), 1)


if __name__ == "__main__":
    run_cli(main)
