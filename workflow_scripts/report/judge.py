"""What became of the report's claims and numbers: results/tables/claims.csv."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.report.artefacts import repaired_in, suspects
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
    outcomes_of,
    too_few,
    with_values,
)
from workflow_scripts.report.frames import read_epochs, read_runs, read_steps, select
from workflow_scripts.report.means import WORDS, Mean, means_over_seeds, one_more_run
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import RUN, SCORES, TEXT, read_csv, read_table, write_csv
from workflow_scripts.text.audit import FitAudit

# The groups in which the claims are shown, in this order.
JUDGED, UNTESTED, NUMBERS = GROUPS = (
    "Claims judged here",
    "Claims not testable here",
    "Numbers quoted from the report",
)
REPRODUCED, NOT_REPRODUCED, ARTEFACT = "reproduced", "not reproduced", "artefact"
NOT_TESTABLE, ON_OURS = "not testable here", "on ours"  # the second: what other rows and models say
KINDS = (REPRODUCED, OPEN, NOT_REPRODUCED, ARTEFACT)  # of verdicts
REPORTS_ROWS, SEVERAL_SEEDS = "the report's rows", "several seeds (configs/seeds.yaml)"
DRAWN_WRONG = "A7"  # figures that show another thing than they are said to show
OWN_LOG = "quoted_loss"  # id of the losses that the text gives, in resources/artefacts.yaml
SCORED = WORDS["numbers"]
Verdict = dict[str, str]  # the columns `kind` and `verdict` of claims.csv


def verdict(kind: str, why: str = "", *remarks: str, of: Sequence[str] = ()) -> Verdict:
    """`of`: the artefacts that the claim is one of."""
    head = f"{kind} of {' or '.join(of)}" if of else kind
    return {"kind": kind, "verdict": "; ".join([f"{head}: {why}" if why else head,
                                                *filter(None, remarks)])}  # fmt: skip


# --- claims in words


def claim_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    for name, entry in claims().items():
        outcomes = outcomes_of(entry, evidence)
        judged = judge_claim(name, outcomes, evidence)
        yield {
            "group": UNTESTED if judged["kind"] == NOT_TESTABLE else JUDGED,
            **{"claim": entry["text"], "published": str(entry["published"])},
            **{column: outcome.text for column, outcome in outcomes.items()},
            **judged,
        }


def judge_claim(name: str, outcomes: dict[str, Outcome], evidence: Evidence) -> Verdict:
    """The verdict on a claim; one that speaks of the report's own rows or rates needs these."""
    entry = claims()[name]
    if "untestable" in entry:
        return verdict(NOT_TESTABLE, entry["untestable"])
    if entry.get("of_the_rows") and REPORTS_ROWS in evidence.missing:
        return verdict(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
    judged = judged_here(name, outcomes, evidence)
    if entry.get("of_the_rates") and evidence.missing and judged["kind"] != NOT_TESTABLE:
        needs = f"needs {' and '.join(evidence.missing)}"
        return verdict(NOT_TESTABLE, needs, f"{ON_OURS} {judged['verdict']}")
    return judged


def judged_here(name: str, outcomes: dict[str, Outcome], evidence: Evidence) -> Verdict:
    """Reproduced where it holds as the report describes the procedure (else as it was run).

    An artefact where repairing the text makes it go, where carrying weights over alone brings it
    about, or where the figure that it was read from shows another thing. Open where what was
    measured decides nothing.
    """
    entry = claims()[name]
    against = "the report's own numbers speak against it" if entry.get("against") else ""
    as_run, as_written, repaired = (outcomes[column].finding for column in COLUMNS)
    if as_run == as_written == NOT_MEASURED:
        return verdict(NOT_TESTABLE, f"needs {SEVERAL_SEEDS}", against)
    of_procedure, of_text = (
        [each for each in suspects(name) if each in repaired_in(column)] for column in COLUMNS[1:]
    )
    enough = _sufficient(of_text, entry, evidence)
    column = "as_run" if as_written == NOT_MEASURED else "as_written"
    decisive = outcomes[column].finding
    if of_text and as_written == HOLDS and repaired == FAILS:
        if not enough:
            return verdict(ARTEFACT, "gone when repaired", of=of_text)
        words = f"{' and '.join(enough)} {'suffices' if len(enough) == 1 else 'each suffice'}"
        remark = f"on these rows {words} to explain it, by the ablation"
        return verdict(ARTEFACT, "gone when repaired", remark)
    if of_procedure and as_run == HOLDS != decisive:
        if as_written == FAILS:
            return verdict(ARTEFACT, "there as run, gone as written", of=of_procedure)
        if _less(outcomes["as_written"].mean, outcomes["as_run"].mean):
            return verdict(ARTEFACT, "there as run, less as written", of=of_procedure)
    if DRAWN_WRONG in suspects(name) and decisive != HOLDS and not against:
        remark = _true_losses(outcomes)
        return verdict(ARTEFACT, "its figure can't show it", remark, of=[DRAWN_WRONG])
    kind = {HOLDS: REPRODUCED, OPEN: OPEN}.get(decisive, NOT_REPRODUCED)
    why = f"{'there as run, but ' * (as_run == HOLDS)}{_doubt(outcomes)}" if kind == OPEN else ""
    aside, remark = outcomes[column].aside if kind == REPRODUCED else "", ""
    if repaired not in (decisive, NOT_MEASURED):
        remark = f"{repaired} once repaired"
        if outcomes["repaired"].doubt:
            remark += f" ({outcomes['repaired'].doubt})"
        elif repaired == HOLDS and enough:
            are = "is" if len(enough) == 1 else "are"
            remark = f"holds once {' and '.join(enough)} {are} repaired (by the ablation)"
        elif repaired == HOLDS and of_text:
            remark = f"holds once {' or '.join(of_text)} is repaired"
    return verdict(kind, why, aside, remark, against)


def _sufficient(possible: list[str], entry: dict[str, Any], evidence: Evidence) -> list[str]:
    """Artefacts whose repair, taken back alone, leaves the claim's metric below the limit."""
    if "ablated" not in entry or evidence.ablation.empty:
        return []
    effects = select(evidence.ablation, metric=entry["ablated"], split="test")
    enough = effects[
        effects.change.str.startswith("-", na=False)
        & (effects.n >= LEAST_ROWS)
        & (effects.high < entry.get("above", entry.get("below")))
        & (effects.effect_high < 0)
    ]
    return [each for each in possible if each in set(enough.artefact)]


def _less(one: Mean | None, other: Mean | None) -> bool:
    """A difference is clearly smaller than another's: independent half-widths add as squares."""
    if one is None or other is None:
        return False
    widths = (other.high - other.low) / 2, (one.high - one.low) / 2
    return other.value - one.value > math.hypot(*widths)


def _doubt(outcomes: dict[str, Outcome]) -> str:
    """What leaves a claim open, under the first recipe that does: as written, else as run."""
    first = next(each for each in ("as_written", *COLUMNS) if outcomes[each].doubt)
    return f"{first.replace('_', ' ')} {outcomes[first].doubt}"


def _true_losses(outcomes: dict[str, Outcome]) -> str:
    """What measuring a claim gave that the report read from a wrong figure."""
    showing = [column for column, outcome in outcomes.items() if outcome.finding == HOLDS]
    if showing:
        return f"the true losses show it under {' and '.join(showing)}"
    if any(outcome.finding == FAILS for outcome in outcomes.values()):
        return "the true losses show the opposite"
    return f"the true losses leave it open ({_doubt(outcomes)})"


# --- numbers


def number_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """One line for each number that the notebooks printed of a run."""
    for name, run in evidence.published["runs"].items():
        carried = [] if run["starts_from"] == "base" else ["A3"]
        for key, of in SCORED.items():
            if run.get(key) is not None:
                of_others = of["metric"] != "eval_loss" and run["scored_on"] != "self"
                possible = [*carried, "A6"] if of_others else carried
                line = f"{name}: {of['words']}", run[key], possible or suspects(key)
                yield _number_line(evidence, name, of["metric"], of["split"], *line)
        line = f"{name}: epochs done", run["epochs_done"], carried
        yield _number_line(evidence, name, "epochs_done", "val", *line)


def quoted_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    """Losses that the text gives for a run, checked against the report's own log (A10)."""
    logged = {name: run["best_eval_loss"] for name, run in evidence.published["runs"].items()}
    for name, value in evidence.published["text"]["best_eval_loss"].items():
        words = f"{name}: evaluation loss given in the text (6)"
        line = _number_line(evidence, name, "eval_loss", "val", words, value, suspects(OWN_LOG))
        nearest = min(logged, key=lambda run: abs(logged[run] - value))
        if nearest != name:
            why = f"its own log has {logged[name]:.3f} for this run; "
            why += f"{logged[nearest]:.3f} is {nearest}'s"
            line |= verdict(ARTEFACT, why, of=["A10"])
        yield line


def _number_line(
    evidence: Evidence,
    name: str,
    metric: str,
    split: str,
    claim: str,
    published: float,
    possible: list[str],
) -> dict[str, str]:
    texts, expected = {}, {}
    for column in COLUMNS:
        recipe = evidence.recipes[column]
        texts[column] = str(evidence.mean(recipe, name, metric, split) or "")
        own = select(evidence.scores, recipe=recipe, metric=metric, split=split, task="all")
        expected[column] = one_more_run(own[own.run.isin(evidence.named(recipe, name).run)])
    judged = judge_number(published, expected, possible, evidence.missing)
    line = {"group": NUMBERS, "claim": claim, "published": f"{published:.4g}"}
    return line | texts | judged


def judge_number(
    published: float, measured: dict[str, Mean | None], possible: list[str], missing: list[str]
) -> Verdict:
    """Reproduced where it lies, as run (else as written), where one more run would.

    `measured`: column -> `one_more_run`; `possible`: the artefacts that could have made the
    difference between these two columns.
    """
    if missing:
        return verdict(NOT_TESTABLE, f"needs {' and '.join(missing)}")
    known = {column: mean for column in COLUMNS[:2]
             if (mean := measured[column]) and mean.has_interval}  # fmt: skip
    if not known:
        return verdict(NOT_TESTABLE, "an interval needs two seeds that differ")
    for column in reversed(known):
        if doubt := too_few(known[column].rows):
            return verdict(OPEN, f"{column.replace('_', ' ')} {doubt}")
    inside = {column: mean.low <= published <= mean.high for column, mean in known.items()}
    if inside.get("as_run") and inside.get("as_written") is False and possible:
        return verdict(ARTEFACT, "one more run may give it as run, not as written", of=possible)
    decisive, mean = next(iter(known.items()))
    expected = f"one more run gives {mean.low:.3f} to {mean.high:.3f} (95%, over {mean.over})"
    return verdict(REPRODUCED if inside[decisive] else NOT_REPRODUCED, expected)


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
        judged = verdict(REPRODUCED if claimed == counted else NOT_REPRODUCED)
        if REPORTS_ROWS in evidence.missing:
            judged = verdict(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
        line = {"group": NUMBERS, "claim": f"{words} (3.1)", "published": str(claimed)}
        yield line | dict.fromkeys(COLUMNS, str(counted)) | judged


def gather(runs: list[Path], scores: pd.DataFrame, means: pd.DataFrame, **more: Any) -> Evidence:
    """The evidence of some runs; `means`: over_seeds.csv. Their epochs become scores too."""
    frame = read_runs(runs)
    steps = read_steps(Path(folder) for folder in frame[frame.experiment == 1].folder)
    epochs = frame[list(RUN)].assign(split="val", task="all", metric="epochs_done")
    epochs = pd.DataFrame(epochs.assign(value=frame.epochs_done), columns=list(SCORES))
    return Evidence(
        runs=with_values(frame, steps, scores),
        epochs=read_epochs(runs),
        scores=pd.concat([scores, epochs]),
        means=pd.concat([means, means_over_seeds(epochs)]),
        **more,
    )


def judge(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    recipes: Annotated[dict, Setting("the recipe of each column of the claims")],
    scores: Annotated[Path, Input("scores.parquet")],
    means: Annotated[Path, Input("over_seeds.csv")],
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
    lacks = [(not reading["is_the_reports_file"], REPORTS_ROWS), (own_model, "its base model")]
    evidence = gather(
        runs,
        read_table(scores, SCORES),
        read_csv(means),
        recipes=recipes,
        published=published,
        fit={audit.recipe: audit for audit in fit},
        linked_rows=float(read_table(rows, {"db_id": TEXT}).db_id.notna().mean()),
        ablation=pd.concat([read_csv(path) for path in ablation]) if ablation else pd.DataFrame(),
        missing=[what for missing, what in lacks if missing],
    )
    lines = [*claim_lines(evidence), *quoted_lines(evidence), *data_lines(evidence, profile)]
    lines += number_lines(evidence)
    lines.sort(key=lambda line: (GROUPS.index(line["group"]), line["kind"] == NOT_TESTABLE))
    write_csv(table, pd.DataFrame(lines).assign(scale=scale))


if __name__ == "__main__":
    run_stage(judge)
