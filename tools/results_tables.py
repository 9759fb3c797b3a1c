"""Fill in the tables of docs/results.md from the results of finished runs.

    python -m tools.results_tables --results RESULTS

RESULTS is the folder results/ of a run of the embedded default, with its ablation if it has one.
Between `<!-- table: NAME -->` and `<!-- end -->` the page holds what this tool writes; a table of
which nothing was measured there stays as it is.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.claims import Claims, Group
from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.report import AgentScore, Difference, Effect, Mean, seeds_of
from workflow_scripts.artifacts.tables import TEST_SPLITS
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.english import english
from workflow_scripts.stage import Option, run_stage

PAGE = Path("docs/results.md")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {
    "exact_match": "exact match",
    "exact_match_decoded": "exact match, as the notebooks compared",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, lenient",
}
Rows = Iterable[Iterable[str]]


def markdown(head: list[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low is not None else "")


def runs(results: Path) -> str:
    """Every run: losses, and scores on the rows that no run of its recipe was trained on."""
    means = read_csv(Mean, results / "tables" / "over_seeds.csv")
    of = {(m.recipe, m.run, m.split, m.task, m.metric): m for m in means}
    columns = [
        ("val", metric, metric.replace("_", " ")) for metric in ("eval_loss", "loss_per_token")
    ]
    columns += [
        (split, metric, f"{NAMES[metric]}, {split}")
        for split in TEST_SPLITS
        for metric in ("rouge_l", "exact_match", "execution_accuracy")
        if any(key[2] == split for key in of)
    ]

    def cell(recipe: str, run: str, split: str, metric: str) -> str:
        mean = of.get((recipe, run, split, "all", metric))
        over_seeds = mean is not None and mean.over == "seeds"
        return number(*(mean.mean, mean.low, mean.high) if over_seeds else (mean and mean.mean,))

    return markdown(
        ["recipe", "run", *(head for _, _, head in columns)],
        (
            [recipe, run, *(cell(recipe, run, split, metric) for split, metric, _ in columns)]
            for recipe, run in dict.fromkeys((mean.recipe, mean.run) for mean in means)
        ),
    )


def long_run(results: Path) -> str:
    """The long run by task: as written, repaired, and the difference on the same rows."""
    ends = [f"{recipe} exp5_long" for recipe in ("repaired", "as_written")]
    of = {
        (m.recipe, m.split, m.task, m.metric): m
        for m in read_csv(Mean, results / "tables" / "over_seeds.csv")
        if m.run == "exp5_long"
    }
    differences = {
        (each.metric, each.task): each
        for each in read_csv(Difference, results / "tables" / "differences.csv")
        if [each.first, each.second] == ends
    }
    columns = [("as_written", "test"), ("repaired", "test"), ("repaired", "unseen")]
    rows = []
    for metric, name in NAMES.items():
        for task in ("all", *TASKS):
            if (metric, task) not in differences:
                continue
            found = differences[metric, task]
            scores = [
                of[recipe, split, task, metric]
                for recipe, split in (
                    ("as_written", "test"),
                    ("repaired", "test"),
                    ("repaired", "unseen"),
                )
                if (recipe, split, task, metric) in of
            ]
            rows.append([
                name, task, *(number(s.mean, s.low, s.high) for s in scores),
                number(found.difference, found.low, found.high),
            ])  # fmt: skip
    head = ["metric", "task", *(", ".join(column) for column in columns)]
    return markdown([*head, "repaired minus as_written, test"], rows)


def ablation(results: Path) -> str:
    """Every recipe of the ablation on test rows, in the order of the file."""
    path = results / "tables" / "ablation.csv"
    found = read_csv(Effect, path)
    by_recipe: dict[str, dict[str, Effect]] = {}
    for each in (each for each in found if each.split == "test"):
        by_recipe.setdefault(each.recipe, {})[each.metric] = each

    def cells(of: dict[str, Effect], metric: str) -> Iterable[str]:
        each = of.get(metric)
        yield number(each.value, each.low, each.high) if each else "-"
        yield number(each.effect, each.effect_low, each.effect_high) if each else "-"

    seeds = seeds_of(found)
    return markdown(
        [
            f"recipe ({seeds} seed{'s' * (seeds > 1)})",
            *(cell for name in NAMES.values() for cell in (name, "effect")),
        ],
        (
            [recipe, *(cell for metric in NAMES for cell in cells(of, metric))]
            for recipe, of in by_recipe.items()
        ),
    )


def agents(results: Path) -> str:
    """The agents end to end."""
    return markdown(
        ["setup", "rows", "n", "execution accuracy", "minus all agents"],
        (
            [
                each.setup, each.split, str(each.n), number(each.value, each.low, each.high),
                number(each.difference, each.difference_low, each.difference_high),
            ]
            for each in read_csv(AgentScore, results / "tables" / "agents.csv")
        ),
    )  # fmt: skip


def claims(results: Path) -> str:
    groups = Claims.read(results / "tables" / "claims.json").by_group()
    return markdown(
        ["claim", "verdict"],
        (
            [line.claim, english(line.verdict)]
            for group, lines in groups.items()
            if group != Group.NUMBERS
            for line in lines
        ),
    )


# Name of a table -> (what makes it, the file that it needs).
TABLES: dict[str, tuple[Callable[[Path], str], str]] = {
    "long_run": (long_run, "differences.csv"),
    "runs": (runs, "over_seeds.csv"),
    "ablation": (ablation, "ablation.csv"),
    "agents": (agents, "agents.csv"),
    "claims": (claims, "claims.json"),
}


def filled(page: str, results: Path) -> str:
    """The page with its tables made anew, but those of which `results` has no file."""

    def table(found: re.Match) -> str:
        make, needed = TABLES[found[2]]
        if not (results / "tables" / needed).is_file():
            return found[0]
        return f"{found[1]}{make(results)}{found[3]}"

    return BLOCK.sub(table, page)


def results_tables(
    results: Annotated[Path, Option("results/ of the embedded default")],
    page: Annotated[Path, Option("the page to fill in")] = PAGE,
) -> None:
    """Raises EssenceError when a table cannot be read."""
    write_text(page, filled(page.read_text(encoding="utf-8"), results))


if __name__ == "__main__":
    run_stage(results_tables)
