"""What became of the report's claims in words, which resources/claims.yaml lists.

A claim says that something lies above a limit, or below it: it holds where the whole 95% interval
does, fails where the whole interval lies on the other side, and is open where the interval holds
the limit, for too little to tell is not the same as refuted. Steps, learning rates or rows of one
seed are no repetitions of a training, so intervals of what compares trainings are over seeds.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
import yaml

from workflow_scripts.files import own_file
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.artefacts import repaired_in, suspects
from workflow_scripts.report.frames import (
    EQUAL_EPOCHS,
    EQUAL_STEPS,
    SIDES,
    at_place,
    logged_losses,
    pairs_of,
)
from workflow_scripts.report.means import (
    Mean,
    best_runs,
    held_out,
    mean_of_answers,
    mean_score,
    over_seeds,
)
from workflow_scripts.tables import RUN
from workflow_scripts.text.audit import FitAudit

USES_FILES = ["../../resources/claims.yaml"]
FILE = own_file("resources/claims.yaml")
# What a claim is measured under; the configuration's `claims` says which recipe each one is.
COLUMNS = ("as_run", "as_written", "repaired")
# The groups in which the claims are shown, in this order.
JUDGED, UNTESTED, NUMBERS = (
    "Claims judged here",
    "Claims not testable here",
    "Numbers quoted from the report",
)
# Whether a claim holds under one recipe; what became of it.
HOLDS, FAILS, OPEN, NOT_MEASURED = "holds", "fails", "open", "not measured"
REPRODUCED, NOT_REPRODUCED, ARTEFACT = "reproduced", "not reproduced", "artefact"
NOT_TESTABLE = "not testable here"
REPORTS_ROWS, SEVERAL_SEEDS = "the report's rows", "several seeds (configs/seeds.yaml)"
DRAWN_WRONG = "A7"  # figures that show another thing than they are said to show
# Fewer rows decide nothing. From 12 rows on Wilson's interval of a share is never wider than half
# of the scale (its width is at most z / sqrt(n + z^2), so n >= 3 z^2), which is the least that
# tells a quarter from three quarters.
LEAST_ROWS = 12
CUT_SHARE = 0.01  # of the answers, above which a limit counts as too short
FIGURE_STEPS = 800  # as many as Figures 5.2 and 5.4 show


@functools.cache
def claims() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Outcome:
    """What testing a claim under one recipe gives; `doubt`: what leaves it open.

    `mean`: what the claim says to lie above 0, where it is of that kind.
    """

    text: str
    finding: str = NOT_MEASURED
    mean: Mean | None = None
    doubt: str = ""


NOTHING = Outcome("not measured")


class Verdict(NamedTuple):
    kind: str
    words: str

    @classmethod
    def of(cls, kind: str, why: str = "", *remarks: str, head: str = "") -> "Verdict":
        """`head`: says more than the kind."""
        first = f"{head or kind}: {why}" if why else head or kind
        return cls(kind, "; ".join([first, *filter(None, remarks)]))


@dataclass
class Evidence:
    """What claims are tested on. `runs` has the columns of `with_values`.

    `recipes`: column of the claims -> recipe; `fit`: recipe -> audit; `linked_rows`: the share of
    the rows that name their database; `ablation`: the rows of ablation.csv; `missing`: what of the
    report is lacking (its rows, its model).
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    scores: pd.DataFrame
    answers: pd.DataFrame
    recipes: dict[str, str]
    published: dict[str, Any]
    fit: dict[str, FitAudit] = field(default_factory=dict)
    linked_rows: float | None = None
    ablation: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: list[str] = field(default_factory=list)

    def named(self, recipe: str, name: str) -> pd.DataFrame:
        """The seeds of one run of a recipe, or of the run that has the same settings."""
        names = [name, self.published["runs"].get(name, {}).get("same_settings_as")]
        own = self.runs[self.runs.recipe == recipe]
        known = [each for each in names if (own.run == each).any()]
        return own[own.run == (known[0] if known else None)]

    def seeds(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> pd.DataFrame:
        """The rows of `scores` that hold one score of a run, one per seed."""
        wanted = {"recipe": recipe, "metric": metric, "split": split, "task": task}
        own = self.scores[self.scores.run.isin(self.named(recipe, name).run)]
        return own[(own[list(wanted)] == pd.Series(wanted)).all(axis=1)]

    def score(self, *address: str) -> Mean | None:
        return mean_score(self.seeds(*address), self.answers)

    def held_out(self, recipe: str) -> str:
        return held_out(self.scores[self.scores.recipe == recipe].split.unique())


# --- values of one training, missing where they were not measured


def with_values(runs: pd.DataFrame, steps: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The runs with the values that claims compare as columns; `val_rarest`: of all tasks."""
    losses = scores[scores.split == "val"].set_index([*RUN, "metric", "task"]).value
    steps = dict(list(steps.groupby(list(RUN))))
    values = [_values(run, losses, steps.get(run[:3], pd.DataFrame())) for run in
              runs[[*RUN, "log_every"]].itertuples(index=False)]  # fmt: skip
    rarest = runs[[f"val_{task}" for task in TASKS]].min(axis=1)
    runs = runs.assign(val_rarest=rarest).join(pd.DataFrame(values, index=runs.index))
    test = scores[(scores.split == "test") & (scores.metric == "rouge_l_decoded")]
    test = test[test.task == "all"].rename(columns={"value": "test_rouge_l", "n": "test_all"})
    return runs.merge(test[[*RUN, "test_rouge_l", "test_all"]], how="left", on=list(RUN))


def _values(run: Any, losses: pd.Series, steps: pd.DataFrame) -> dict[str, float]:
    """`spread_over_tasks`: a small natural sample may hold no row of the rare task to validate on.

    `refiner_gap`: the Refiner's true training loss above the mean of the other tasks' losses.
    """
    of_tasks = pd.Series([losses.get((*run[:3], "loss_per_token", task)) for task in TASKS])
    spread = of_tasks.max(skipna=False) - of_tasks.min(skipna=False)
    values = {"spread_over_tasks": spread, "roughness": math.nan, "refiner_gap": math.nan}
    for metric in ("eval_loss", "rouge_l", "rouge_l_decoded"):
        values[metric] = losses.get((*run[:3], metric, "all"), math.nan)
    if steps.empty:
        return values
    values["roughness"] = roughness(logged_losses(steps, run.log_every).loss)
    first = steps[(steps.step <= FIGURE_STEPS) & (steps.task != "all")]
    by_task = (first.loss_sum / first.tokens.clip(lower=1)).groupby(first.task).mean()
    if set(by_task.index) == set(TASKS):
        values["refiner_gap"] = by_task["Refiner"] - by_task.drop("Refiner").mean()
    return values


def roughness(losses: pd.Series) -> float:
    """Mean change from one logged training loss to the next, as a share of their mean."""
    return losses.diff().abs().mean() / losses.mean()


# --- from a number and its interval to a finding


def above(text: str, value: Mean, limit: float) -> Outcome:
    """The claim that something lies above a limit."""
    if not value.has_interval:
        return Outcome(f"{text} (no interval)")
    if doubt := too_few(value.rows):
        return Outcome(text, OPEN, value, doubt)
    if value.low > limit:
        return Outcome(text, HOLDS, value)
    if value.high < limit:
        return Outcome(text, FAILS, value)
    return Outcome(text, OPEN, value, f"the interval holds {limit:g}")


def below(text: str, value: Mean, limit: float) -> Outcome:
    """The claim that a share of rows lies below a limit."""
    outcome = above(text, value, limit)
    turned = {HOLDS: FAILS, FAILS: HOLDS}
    return Outcome(text, turned.get(outcome.finding, outcome.finding), doubt=outcome.doubt)


def too_few(rows: int | None) -> str:
    """The doubt where too few rows are behind a value; None: it has none to count."""
    return "" if rows is None or rows >= LEAST_ROWS else f"too few rows ({rows})"


# --- tests of the claims: (evidence, recipe, entry of claims.yaml) -> outcome


def compare(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """A value of one side's trainings is higher than of the other's, in pairs of one seed.

    With `at` it is judged at these epochs, and shown at equal epochs and at equal steps too; where
    those have opposite signs it is open.
    """
    [(setting, sides)] = entry["sides"].items()
    words, value = entry["words"], entry["value"]
    if setting == "run":
        first, second = (evidence.named(recipe, name) for name in sides)
        return _compare(first.merge(second, on="seed", suffixes=SIDES), entry, words)
    pairs = pairs_of(evidence.runs[evidence.runs.recipe == recipe], setting, *sides)
    words = f"{words}, mean of {len(pairs)} pairs"
    if "at" not in entry:
        return _compare(pairs, entry, words)
    of_recipe = (evidence.epochs.recipe == recipe) & (evidence.epochs.task == "all")
    epochs = evidence.epochs[of_recipe].assign(
        overfit=lambda each: each.eval_loss - each.train_loss
    )
    places = dict.fromkeys((entry["at"], EQUAL_EPOCHS, EQUAL_STEPS))
    shown = {place: mean for place in places
             if (mean := _difference(at_place(pairs, epochs, place), value))}  # fmt: skip
    if entry["at"] not in shown:
        return NOTHING
    numbers = ", ".join(f"{mean} ({place})" for place, mean in shown.items())
    ends = [shown[place].value for place in (EQUAL_EPOCHS, EQUAL_STEPS) if place in shown]
    opposed = ""
    if ends and min(ends) < 0 < max(ends):
        opposed = "at equal epochs and at equal steps the difference has opposite signs"
    return _outcome(f"{words}: {numbers}", shown[entry["at"]], pairs, entry, opposed)


def _compare(pairs: pd.DataFrame, entry: dict, words: str, comparisons: int = 1) -> Outcome:
    names = [f"{entry['value']}{side}" for side in SIDES]
    pairs = pairs.dropna(subset=names)
    difference = _difference(pairs, entry["value"], comparisons)
    if difference is None:
        return NOTHING
    first, second = pairs[names].mean()
    words = words.format(first=first, second=second)
    return _outcome(f"{words}: {difference}", difference, pairs, entry)


def _difference(pairs: pd.DataFrame, value: str, comparisons: int = 1) -> Mean | None:
    """First minus second; pairs of one seed share their rows, so each seed counts once."""
    if pairs.empty:
        return None
    first, second = (pairs[f"{value}{side}"] for side in SIDES)
    return over_seeds((first - second).groupby(pairs.seed).mean().tolist(), comparisons)


def _outcome(
    text: str, difference: Mean, pairs: pd.DataFrame, entry: dict, doubt: str = ""
) -> Outcome:
    """The claim that a difference is above 0, with how many runs ended by their limit of epochs.

    That leaves no claim open: the limit is part of the procedure that a claim is about.
    """
    names = ["run", "stopped_early", entry.get("rows", "val_all")]
    runs = pd.concat(
        [pairs[["seed", *(f"{name}{side}" for name in names)]].set_axis(["seed", *names], axis=1)
         for side in SIDES]
    ).drop_duplicates(["run", "seed"])  # fmt: skip
    running = int((~runs.stopped_early.astype(bool)).sum())
    if running:
        text += f"; {running} of {len(runs)} runs had not converged"
    outcome = above(text, difference, 0)
    doubt = too_few(int(runs[names[-1]].min())) or doubt
    if doubt and outcome.finding != NOT_MEASURED:
        return Outcome(outcome.text, OPEN, doubt=doubt)
    return outcome


def is_best(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """The report's choice has a lower evaluation loss than each of its rivals.

    It has not where one is ahead of it. The rival is picked by the same losses, so the intervals
    are those of as many comparisons as there are rivals.
    """
    chosen = evidence.published["text"]["chosen_run"]
    grid = evidence.runs[(evidence.runs.recipe == recipe) & (evidence.runs.experiment == 3)]
    means = grid.groupby("run", sort=False)[["eval_loss", "rouge_l"]].mean().dropna()
    if chosen not in means.index or len(means) < 2:
        return NOTHING
    by_loss = means.eval_loss.rank(method="first")
    by_rouge = means.rouge_l.rank(method="first", ascending=False)
    rivals = by_loss.drop(chosen).sort_values().index
    words = (
        f"rank {by_loss[chosen]:.0f} of {len(means)} by eval loss, {by_rouge[chosen]:.0f} by "
        f"ROUGE-L; corrected for {len(rivals)} comparisons, eval loss, "
    )
    own = evidence.named(recipe, chosen)
    outcomes = [
        _compare(evidence.named(recipe, rival).merge(own, on="seed", suffixes=SIDES), entry,
                 f"{words}{rival} - this", len(rivals))
        for rival in rivals
    ]  # fmt: skip
    # one that is ahead decides, then one that may be
    return min(outcomes, key=lambda each: (each.finding != FAILS, each.finding == HOLDS))


def is_share(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """A share of right answers lies above or below a limit: of the best run, or of the highest.

    It is of the first of the entry's metrics that was measured.
    """
    split, task = evidence.held_out(recipe), entry.get("task", "all")
    own = evidence.answers[(evidence.answers.recipe == recipe) & (evidence.answers.split == split)]
    own = own if task == "all" else own[own.task == task]
    for metric, words in entry["metrics"].items():
        means = {run: mean_of_answers(each, metric) for run, each in own.groupby("run", sort=False)}
        means = {run: mean for run, mean in means.items() if mean}
        run = best_runs(evidence.runs[evidence.runs.recipe == recipe])[recipe]
        if entry["run"] == "highest" and means:
            run = max(means, key=lambda name: (means[name].value, means[name].high))
        if run not in means:
            continue
        which = "" if task == "all" else f"{task} "
        text = f"{words} {means[run]} ({run}, {means[run].rows} {which}{split} rows)"
        text += _ceilings(evidence, recipe, run, f"{metric}_at_most", split)
        side, limit = ("above", entry["above"]) if "above" in entry else ("below", entry["below"])
        text += f"; {entry['means']} {side} {limit}"
        return (above if side == "above" else below)(text, means[run], limit)
    return NOTHING


def _ceilings(evidence: Evidence, recipe: str, run: str, metric: str, split: str) -> str:
    most = {task: score.value for task in ("all", *TASKS)
            if (score := evidence.score(recipe, run, metric, split, task))}  # fmt: skip
    if not most:
        return ""
    by_task = ", ".join(f"{task} {most[task]:.3f}" for task in TASKS if task in most)
    return f"; no model could reach more than {most['all']:.3f} with these inputs ({by_task})"


def are_too_long(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    if recipe not in evidence.fit:
        return Outcome("no fit audit")
    audit = evidence.fit[recipe]
    cut = audit.all.targets_cut / max(audit.all.rows, 1)
    text = (
        f"{cut:.1%} of the answers are longer than {audit.settings.target_tokens} tokens, "
        f"{audit.all.longer_than_generation:.1%} longer than the "
        f"{audit.settings.generate_tokens} that are generated"
    )
    return Outcome(text, HOLDS if cut > CUT_SHARE else FAILS)


def are_not_linked(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    if evidence.linked_rows is None:
        return NOTHING
    chosen, split = evidence.published["text"]["chosen_run"], evidence.held_out(recipe)
    text = f"{evidence.linked_rows:.1%} of the rows name their database"
    if linked := evidence.score(recipe, chosen, "linked_rate", split):
        text += f", {linked.value:.1%} of those answered could be linked to one"
    if executed := evidence.score(recipe, chosen, "execution_accuracy", split):
        text += f"; execution accuracy {executed}"
    return Outcome(text, HOLDS if evidence.linked_rows == 0 else FAILS)


# The names by which claims.yaml calls them.
TESTS = {"compare": compare, "best": is_best, "share": is_share,
         "lengths": are_too_long, "links": are_not_linked}  # fmt: skip


# --- verdicts


def outcomes_of(entry: dict[str, Any], evidence: Evidence) -> dict[str, Outcome]:
    """Column of the claims -> outcome under its recipe."""

    def outcome(recipe: str) -> Outcome:
        if "untestable" in entry:
            return Outcome("")
        if not (evidence.runs.recipe == recipe).any():
            return Outcome("not trained here")
        return TESTS[entry["test"]](evidence, recipe, entry)

    return {column: outcome(evidence.recipes[column]) for column in COLUMNS}


def judge_claim(name: str, outcomes: dict[str, Outcome], evidence: Evidence) -> Verdict:
    """Reproduced where it holds as the report describes the procedure (else as it was run).

    An artefact where repairing the text makes it go, where carrying weights over alone brings it
    about, or where the figure that it was read from shows another thing. Open where what was
    measured decides nothing.
    """
    entry = claims()[name]
    if "untestable" in entry:
        return Verdict.of(NOT_TESTABLE, entry["untestable"])
    if entry.get("of_the_rows") and REPORTS_ROWS in evidence.missing:
        return Verdict.of(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
    against = "the report's own numbers speak against it" if entry.get("against") else ""
    as_run, as_written, repaired = (outcomes[column].finding for column in COLUMNS)
    if as_run == as_written == NOT_MEASURED:
        return Verdict.of(NOT_TESTABLE, f"needs {SEVERAL_SEEDS}", against)
    of_procedure, of_text = (
        [each for each in suspects(name) if each in repaired_in(column)] for column in COLUMNS[1:]
    )
    sufficient = _sufficient(of_text, entry, evidence)
    decisive = as_run if as_written == NOT_MEASURED else as_written
    if decisive == HOLDS and of_text and as_written == HOLDS and repaired == FAILS:
        return _gone_when_repaired(of_text, sufficient)
    if of_procedure and as_run == HOLDS != decisive:
        head = f"artefact of {' or '.join(of_procedure)}"
        if as_written == FAILS:
            return Verdict.of(ARTEFACT, "there as run, gone as written", head=head)
        if _less(outcomes["as_written"].mean, outcomes["as_run"].mean):
            return Verdict.of(ARTEFACT, "there as run, less as written", head=head)
    if DRAWN_WRONG in suspects(name) and decisive != HOLDS and not against:
        head, why = f"artefact of {DRAWN_WRONG}", "its figure can't show it"
        return Verdict.of(ARTEFACT, why, _true_losses(outcomes), head=head)
    kind = {HOLDS: REPRODUCED, OPEN: OPEN}.get(decisive, NOT_REPRODUCED)
    why = f"{'there as run, but ' * (as_run == HOLDS)}{_doubt(outcomes)}" if kind == OPEN else ""
    remark = ""
    if repaired not in (decisive, NOT_MEASURED):
        remark = f"{repaired} once repaired"
        if outcomes["repaired"].doubt:
            remark += f" ({outcomes['repaired'].doubt})"
        elif repaired == HOLDS and sufficient:
            remark += f" of {' and '.join(sufficient)} (by the ablation)"
        elif repaired == HOLDS and of_text:
            remark += f" of {' or '.join(of_text)}"
    return Verdict.of(kind, why, remark, against)


def _gone_when_repaired(of_text: list[str], sufficient: list[str]) -> Verdict:
    why = "gone when repaired"
    if not sufficient:
        return Verdict.of(ARTEFACT, why, head=f"artefact of {' or '.join(of_text)}")
    suffice = "suffices" if len(sufficient) == 1 else "each suffice"
    names = " and ".join(sufficient)
    return Verdict.of(
        ARTEFACT, why, f"on these rows {names} {suffice} to explain it, by the ablation"
    )


def _sufficient(possible: list[str], entry: dict[str, Any], evidence: Evidence) -> list[str]:
    """The artefacts that suffice, by the ablation.

    One suffices where taking back its repair alone costs so much that the metric of the claim stays
    below the limit.
    """
    effects = evidence.ablation
    if "ablated" not in entry or effects.empty:
        return []
    enough = effects[
        (effects.metric == entry["ablated"])
        & (effects.split == "test")
        & effects.change.fillna("").str.startswith("-")
        & (effects.n >= LEAST_ROWS)
        & (effects.high < entry.get("above", entry.get("below")))
        & (effects.effect_high < 0)
    ]
    return [each for each in possible if each in set(enough.artefact)]


def _less(one: Mean | None, other: Mean | None) -> bool:
    """Whether a difference is clearly smaller than another recipe's.

    Of two independent means: their half-widths add as squares.
    """
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


def claim_lines(evidence: Evidence) -> list[dict[str, str]]:
    """The lines of claims.csv for the claims in words."""
    lines = []
    for name, entry in claims().items():
        outcomes = outcomes_of(entry, evidence)
        verdict = judge_claim(name, outcomes, evidence)
        texts = {column: outcome.text for column, outcome in outcomes.items()}
        group = UNTESTED if verdict.kind == NOT_TESTABLE else JUDGED
        lines.append(line_of(group, entry["text"], str(entry["published"]), texts, verdict))
    return lines


def line_of(
    group: str, claim: str, published: str, measured: dict[str, str], verdict: Verdict
) -> dict[str, str]:
    line = {"group": group, "claim": claim, "published": published, **measured}
    return line | {"kind": verdict.kind, "verdict": verdict.words}
