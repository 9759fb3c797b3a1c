"""How the report's claims in words are tested; resources/claims.yaml lists them.

A claim says that something lies above a limit, or below it: it holds where the whole 95% interval
does, fails where the whole interval lies on the other side, and is open where the interval holds
the limit, for too little to tell is not the same as refuted. Steps, learning rates or rows of one
seed are no repetitions of a training, so intervals of what compares trainings are over seeds.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import yaml

from workflow_scripts.files import own_file
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.frames import (
    EQUAL_EPOCHS,
    EQUAL_STEPS,
    SIDES,
    at_place,
    logged_losses,
    pairs_of,
    select,
)
from workflow_scripts.report.means import Mean, as_mean, best_runs, held_out, over_seeds
from workflow_scripts.tables import RUN
from workflow_scripts.text.audit import FitAudit

USES_FILES = ["../../resources/claims.yaml"]
FILE = own_file("resources/claims.yaml")
# What a claim is measured under; the configuration's `claims` says which recipe each one is.
COLUMNS = ("as_run", "as_written", "repaired")
HOLDS, FAILS, OPEN, NOT_MEASURED = "holds", "fails", "open", "not measured"
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
    """What testing a claim under one recipe gives.

    `doubt`: what leaves it open; `aside`: what is said beside it where it holds.
    """

    text: str
    finding: str = NOT_MEASURED
    mean: Mean | None = None
    doubt: str = ""
    aside: str = ""


NOTHING = Outcome("not measured")


@dataclass
class Evidence:
    """What claims are tested on. `runs` has the columns of `with_values`.

    `means`: over_seeds.csv; `recipes`: column of the claims -> recipe; `fit`: recipe -> audit;
    `linked_rows`: the share of the rows that name their database; `ablation`: the rows of
    ablation.csv; `missing`: what of the report is lacking (its rows, its model).
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    scores: pd.DataFrame
    means: pd.DataFrame
    recipes: dict[str, str]
    published: dict[str, Any]
    fit: dict[str, FitAudit] = field(default_factory=dict)
    linked_rows: float = 0.0
    ablation: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: list[str] = field(default_factory=list)

    def named(self, recipe: str, name: str) -> pd.DataFrame:
        """The seeds of one run of a recipe, or of the run that has the same settings."""
        own = select(self.runs, recipe=recipe, run=name)
        twin = self.published["runs"].get(name, {}).get("same_settings_as")
        return select(self.runs, recipe=recipe, run=twin) if own.empty else own

    def mean(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> Mean | None:
        """The mean over seeds of one score of a run."""
        own = select(self.means, recipe=recipe, metric=metric, split=split, task=task)
        own = own[own.run.isin(self.named(recipe, name).run)]
        return None if own.empty else as_mean(own.iloc[0])

    def held_out(self, recipe: str) -> str:
        return held_out(select(self.scores, recipe=recipe).split.unique())


# --- values of one training, missing where they were not measured


def with_values(runs: pd.DataFrame, steps: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The runs with the values that claims compare as columns.

    `val_rarest`: rows of all tasks, since a small natural sample may hold none of the rare task.
    `refiner_gap`: the Refiner's true training loss above the mean of the other tasks' losses.
    """

    def score(metric: str, split: str = "val", task: str = "all") -> pd.DataFrame:
        return select(scores, metric=metric, split=split, task=task).set_index(list(RUN))

    values = {name: score(name).value for name in ("eval_loss", "rouge_l", "rouge_l_decoded")}
    of_tasks = pd.DataFrame({task: score("loss_per_token", task=task).value for task in TASKS})
    values["spread_over_tasks"] = of_tasks.max(axis=1, skipna=False) - of_tasks.min(axis=1)
    test = score("rouge_l_decoded", "test")
    values |= {"test_rouge_l": test.value, "test_all": test.n}
    rates = runs.set_index(list(RUN)).log_every
    of_run = dict(list(steps.groupby(list(RUN))))
    values["roughness"] = pd.Series(
        {run: roughness(logged_losses(own, rates[run]).loss) for run, own in of_run.items()},
        index=pd.MultiIndex.from_tuples(of_run, names=list(RUN)), dtype=float,
    )  # fmt: skip
    first = steps[(steps.step <= FIGURE_STEPS) & (steps.task != "all")]
    by_task = (first.loss_sum / first.tokens.clip(lower=1)).groupby(
        [first[name] for name in (*RUN, "task")]
    )
    by_task = by_task.mean().unstack("task").reindex(columns=list(TASKS))
    values["refiner_gap"] = by_task.Refiner - by_task.drop(columns="Refiner").mean(
        axis=1, skipna=False
    )
    rarest = runs[[f"val_{task}" for task in TASKS]].min(axis=1)
    return runs.assign(val_rarest=rarest).join(pd.DataFrame(values), on=list(RUN))


def roughness(losses: pd.Series) -> float:
    """Mean change from one logged training loss to the next, as a share of their mean."""
    return losses.diff().abs().mean() / losses.mean()


# --- from a number and its interval to a finding


def decide(text: str, value: Mean, limit: float, side: str = "above") -> Outcome:
    """The claim that something lies above a limit, or that a share of rows lies below it."""
    mean = value if side == "above" else None
    if not value.has_interval:
        return Outcome(f"{text} (no interval)")
    if doubt := too_few(value.rows):
        return Outcome(text, OPEN, mean, doubt)
    if value.low <= limit <= value.high:
        return Outcome(text, OPEN, mean, f"the interval holds {limit:g}")
    lies = "above" if value.low > limit else "below"
    return Outcome(text, HOLDS if lies == side else FAILS, mean)


def too_few(rows: int | None) -> str:
    """The doubt where too few rows are behind a value; None: it has none to count."""
    return "" if rows is None or rows >= LEAST_ROWS else f"too few rows ({rows})"


# --- tests of the claims: (evidence, recipe, entry of claims.yaml) -> outcome


def compare(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """A value of one side's trainings is higher than of the other's, in pairs of one seed.

    With `at` it is judged at these epochs, and shown at equal epochs and at equal steps too; where
    one of those is clearly above 0 and the other clearly below, it is open.
    """
    [(setting, sides)] = entry["sides"].items()
    if setting == "run":
        first, second = (evidence.named(recipe, name) for name in sides)
        pairs = first.merge(second, on="seed", suffixes=SIDES)
        return _outcome(pairs, entry, entry["words"])
    pairs = pairs_of(select(evidence.runs, recipe=recipe), setting, *sides)
    words = f"{entry['words']}, mean of {len(pairs)} pairs"
    if "at" not in entry:
        return _outcome(pairs, entry, words)
    epochs = select(evidence.epochs, recipe=recipe, task="all")
    epochs = epochs.assign(overfit=epochs.eval_loss - epochs.train_loss)
    places = dict.fromkeys((entry["at"], EQUAL_EPOCHS, EQUAL_STEPS))
    shown = {place: mean for place in places
             if (mean := _difference(at_place(pairs, epochs, place), entry["value"]))}  # fmt: skip
    if entry["at"] not in shown:
        return NOTHING
    words += ": " + ", ".join(f"{mean} ({place})" for place, mean in shown.items())
    ends = {place: shown[place] for place in (EQUAL_EPOCHS, EQUAL_STEPS) if place in shown}
    opposed = ""
    if any(end.high < 0 for end in ends.values()) and any(end.low > 0 for end in ends.values()):
        opposed = "at equal epochs and at equal steps the difference has opposite signs"
    outcome = _judged(words, shown[entry["at"]], pairs, entry, opposed)
    elsewhere = [f"at {place}" for place, end in ends.items() if end.low <= 0]
    return replace(outcome, aside=f"not shown {' or '.join(elsewhere)}" if elsewhere else "")


def _outcome(pairs: pd.DataFrame, entry: dict, words: str, comparisons: int = 1) -> Outcome:
    names = [f"{entry['value']}{side}" for side in SIDES]
    pairs = pairs.dropna(subset=names)
    difference = _difference(pairs, entry["value"], comparisons)
    if difference is None:
        return NOTHING
    first, second = pairs[names].mean()
    words = f"{words.format(first=first, second=second)}: {difference}"
    return _judged(words, difference, pairs, entry)


def _difference(pairs: pd.DataFrame, value: str, comparisons: int = 1) -> Mean | None:
    """First minus second; pairs of one seed share their rows, so each seed counts once."""
    if pairs.empty:
        return None
    first, second = (pairs[f"{value}{side}"] for side in SIDES)
    return over_seeds((first - second).groupby(pairs.seed).mean().tolist(), comparisons)


def _judged(
    text: str, difference: Mean, pairs: pd.DataFrame, entry: dict, doubt: str = ""
) -> Outcome:
    """A difference is above 0; how many runs patience did not stop is said, no doubt."""
    names = ["run", "patience", "stopped_early", entry.get("rows", "val_all")]
    runs = pd.concat(
        [pairs[["seed", *(f"{name}{side}" for name in names)]].set_axis(["seed", *names], axis=1)
         for side in SIDES]
    ).drop_duplicates(["run", "seed"])  # fmt: skip
    stopped = runs[runs.patience.notna()].stopped_early.astype(bool)
    if not stopped.all():
        text += f"; {(~stopped).sum()} of {len(runs)} runs used all their epochs"
    outcome = decide(text, difference, 0)
    doubt = too_few(int(runs[names[-1]].min())) or doubt
    if doubt and outcome.finding != NOT_MEASURED:
        return Outcome(outcome.text, OPEN, doubt=doubt)
    return outcome


def is_best(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """The report's choice has a lower evaluation loss than each of its rivals.

    It has not where one is ahead of it: that rival is picked by the same losses, so the intervals
    are those of as many comparisons as there are rivals. To be ahead of them all, each by itself
    is enough.
    """
    chosen = evidence.published["text"]["chosen_run"]
    grid = select(evidence.runs, recipe=recipe, experiment=3)
    means = grid.groupby("run", sort=False)[["eval_loss", "rouge_l"]].mean().dropna()
    if chosen not in means.index or len(means) < 2:
        return NOTHING
    by_loss = means.eval_loss.rank(method="first")
    by_rouge = means.rouge_l.rank(method="first", ascending=False)
    rivals = by_loss.drop(chosen).sort_values().index
    words = (
        f"rank {by_loss[chosen]:.0f} of {len(means)} by eval loss, {by_rouge[chosen]:.0f} by "
        "ROUGE-L; eval loss, "
    )
    own = evidence.named(recipe, chosen)

    def against(rival: str, comparisons: int, corrected: str = "") -> Outcome:
        pairs = evidence.named(recipe, rival).merge(own, on="seed", suffixes=SIDES)
        return _outcome(pairs, entry, f"{words}{rival} - this{corrected}", comparisons)

    count = len(rivals)
    corrected = [against(rival, count, f", corrected for {count} comparisons") for rival in rivals]
    alone = [against(rival, 1) for rival in rivals]
    ahead = [each for each in corrected if each.finding == FAILS]
    may_be = [each for each, one in zip(corrected, alone, strict=True) if one.finding != HOLDS]
    return (ahead or may_be or alone)[0]


def is_share(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    """A share of right answers, by the first of the entry's metrics that was measured."""
    split, task = evidence.held_out(recipe), entry.get("task", "all")
    best = best_runs(select(evidence.runs, recipe=recipe))[recipe]
    for metric, words in entry["metrics"].items():
        own = select(evidence.means, recipe=recipe, split=split, task=task, metric=metric)
        own = own if entry["run"] == "highest" else select(own, run=best)
        if own.empty:
            continue
        line = own.sort_values(["mean", "high"], ascending=False).iloc[0]
        mean, which = as_mean(line), "" if task == "all" else f"{task} "
        text = f"{words} {mean} ({line.run}, {mean.rows} {which}{split} rows)"
        address = (f"{metric}_at_most", split)
        most = {task: value.value for task in ("all", *TASKS)
                if (value := evidence.mean(recipe, line.run, *address, task))}  # fmt: skip
        if most:
            by_task = ", ".join(f"{task} {most[task]:.3f}" for task in TASKS if task in most)
            text += f"; no model could reach more than {most['all']:.3f} with these inputs"
            text += f" ({by_task})"
        side = "above" if "above" in entry else "below"
        return decide(f"{text}; {entry['means']} {side} {entry[side]}", mean, entry[side], side)
    return NOTHING


def are_too_long(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    audit = evidence.fit[recipe]
    cut = audit.all.targets_cut / max(audit.all.rows, 1)
    text = (
        f"{cut:.1%} of the answers are longer than {audit.settings.target_tokens} tokens, "
        f"{audit.all.longer_than_generation:.1%} longer than the "
        f"{audit.settings.generate_tokens} that are generated"
    )
    return Outcome(text, HOLDS if cut > CUT_SHARE else FAILS)


def are_not_linked(evidence: Evidence, recipe: str, entry: dict[str, Any]) -> Outcome:
    chosen, split = evidence.published["text"]["chosen_run"], evidence.held_out(recipe)
    text = f"{evidence.linked_rows:.1%} of the rows name their database"
    if linked := evidence.mean(recipe, chosen, "linked_rate", split):
        text += f", {linked.value:.1%} of those answered could be linked to one"
    if executed := evidence.mean(recipe, chosen, "execution_accuracy", split):
        text += f"; execution accuracy {executed}"
    return Outcome(text, HOLDS if evidence.linked_rows == 0 else FAILS)


# The names by which claims.yaml calls them.
TESTS = {"compare": compare, "best": is_best, "share": is_share,
         "lengths": are_too_long, "links": are_not_linked}  # fmt: skip


def outcomes_of(entry: dict[str, Any], evidence: Evidence) -> dict[str, Outcome]:
    """Column of the claims -> outcome under its recipe."""
    outcomes = {}
    for column in COLUMNS:
        recipe = evidence.recipes[column]
        if "untestable" in entry:
            outcomes[column] = Outcome("")
        elif not (evidence.runs.recipe == recipe).any():
            outcomes[column] = Outcome("not trained here")
        else:
            outcomes[column] = TESTS[entry["test"]](evidence, recipe, entry)
    return outcomes
