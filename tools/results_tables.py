"""Fill in the tables of docs/results.md from the results of finished runs.

    python -m tools.results_tables --results RESULTS --tables long_run runs ablation agents claims

RESULTS is the folder results/ of a run; `--tables` names the tables that are of it (`order` is of a
run with configs/order.yaml, `real` and `real_agents` of one with configs/smollm2_spider.yaml).
Between `<!-- table: NAME -->` and `<!-- end -->` the page holds what this tool writes; a table of
which nothing was measured there stays as it is.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.report.judge import NUMBERS
from workflow_scripts.report.means import ADDRESS, difference_of_answers, mean_of_answers, written
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import ANSWERS, RUN, read_csv, read_table

PAGE = Path("docs/results.md")
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {
    # what a model can reach under every recipe comes first
    "exact_match_decoded": "exact match, as the notebooks compared",
    "execution_accuracy_lenient": "execution accuracy, lenient",
    "rouge_l": "ROUGE-L",
    "exact_match": "exact match",
    "execution_accuracy": "execution accuracy",
}


def markdown(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(line: Any, value: str = "value", low: str = "low", high: str = "high") -> str:
    """A number of a row with its interval; "-" where there is no row or no number."""
    if line is None or pd.isna(line[value]):
        return "-"
    known = pd.notna(line[low])
    return f"{line[value]:.2f}" + (f" [{line[low]:.2f}, {line[high]:.2f}]" if known else "")


def lookup(table: pd.DataFrame, keys: list[str]) -> dict[tuple, pd.Series]:
    return {tuple(line[keys]): line for _, line in table.iterrows()}


def runs(tables: Path) -> str:
    """Every run: losses, and scores on the rows that no run of its recipe was trained on."""
    means = read_csv(tables / "over_seeds.csv")
    means[["low", "high"]] = means[["low", "high"]].where(means.seeds > 1)
    of = lookup(means[means.task == "all"], [*ADDRESS, "split", "metric"])
    columns = [("val", each, each.replace("_", " ")) for each in ("eval_loss", "loss_per_token")]
    columns += [
        (split, metric, f"{NAMES[metric]}, {split}")
        for split in TEST_SPLITS
        for metric in ("rouge_l", "exact_match", "execution_accuracy")
        if (means.split == split).any()
    ]
    return markdown(
        ["recipe", "run", *(head for _, _, head in columns)],
        (
            [*address, *(number(of.get((*address, *key)), "mean") for *key, _ in columns)]
            for address in means[ADDRESS].drop_duplicates().itertuples(index=False)
        ),
    )


def long_run(tables: Path) -> str:
    """The long run by task: as written, repaired, and the difference on the same rows."""
    means, paired = read_csv(tables / "over_seeds.csv"), read_csv(tables / "differences.csv")
    of = lookup(means[means.run == "exp5_long"], ["recipe", "split", "metric", "task"])
    ends = (paired["first"] == "repaired exp5_long") & (paired.second == "as_written exp5_long")
    differences = lookup(paired[ends], ["metric", "task"])
    columns = [("as_written", "test"), ("repaired", "test"), ("repaired", "unseen")]
    return markdown(
        ["metric", "task", *map(", ".join, columns), "repaired minus as_written, test"],
        (
            [
                *(name, task),
                *(number(of.get((*column, metric, task)), "mean") for column in columns),
                number(differences[metric, task], "difference"),
            ]
            for metric, name in NAMES.items()
            for task in ("all", *TASKS)
            if (metric, task) in differences
        ),
    )


def ablation(tables: Path) -> str:
    """Every recipe of the ablation on test rows, in the order of the file."""
    effects = read_csv(tables / "ablation.csv")
    seeds = int(effects[effects.split == "val"].n.max())  # a line of a loss counts seeds
    effects = effects[effects.split == "test"]
    of = lookup(effects, ["recipe", "metric"])
    return markdown(
        [
            f"recipe ({seeds} seed{'s' * (seeds > 1)})",
            *(cell for name in NAMES.values() for cell in (name, "effect")),
        ],
        (
            [
                recipe,
                *(
                    number(of.get((recipe, metric)), *names)
                    for metric in NAMES
                    for names in ((), ("effect", "effect_low", "effect_high"))
                ),
            ]
            for recipe in effects.recipe.unique()
        ),
    )


def agents(tables: Path) -> str:
    """The agents end to end."""
    paired = ("difference", "difference_low", "difference_high")
    return markdown(
        ["setup", "rows", "n", "execution accuracy", "minus all agents"],
        (
            [line.setup, line.split, str(line.n), number(line), number(line, *paired)]
            for _, line in read_csv(tables / "agents.csv").iterrows()
        ),
    )


def order(tables: Path) -> str:
    """The grid of experiment 3 trained in three orders: the evaluation loss of each seed."""
    scores, recipes = read_csv(tables / "results.csv"), ["in_order", "in_reverse", "from_base"]
    losses = scores[(scores.metric == "eval_loss") & (scores.task == "all")]
    chain = losses.run.unique()
    losses = losses.pivot(index="run", columns=["recipe", "seed"], values="value").reindex(chain)
    seeds = losses["in_order"].columns
    heads = [f"{recipe.replace('_', ' ')}, seed {seed}" for recipe in recipes for seed in seeds]
    return markdown(["run", *heads], losses[recipes].map("{:.3f}".format).itertuples())


def real(tables: Path) -> str:
    """Answers to questions about databases never seen: recipes, their difference, controls."""
    files = [tables.parent / "answers.parquet", tables.parent / "ablation/answers.parquet"]
    answers = pd.concat([read_table(file, ANSWERS) for file in files if file.is_file()])
    answers = answers[answers.split == "unseen"].drop_duplicates([*RUN, "idx"])
    recipes = dict(list(answers.groupby("recipe", sort=False)))
    every = {"all": answers.idx, **answers.groupby("task").idx.agg(list)}
    by_hardness = answers[answers.task != "Selector"].groupby("hardness").idx.agg(list)
    levels = {level: by_hardness[level] for level in LEVELS if level in by_hardness}
    parts = {
        "execution_accuracy": every | levels,
        "execution_accuracy_lenient": every,
        "executable_rate": every,
        "exact_match": every,
        "column_f1": {"Selector": every["Selector"]},
    }
    words = NAMES | {"executable_rate": "SQL that runs", "column_f1": "Selector, F1 of columns"}
    lines = []
    for metric, rows_of in parts.items():
        for part, rows in rows_of.items():
            own = {name: of[of.idx.isin(rows)] for name, of in recipes.items()}
            means = {name: mean_of_answers(each, metric) for name, each in own.items()}
            if not means["repaired"]:
                continue
            _, *paired = difference_of_answers(own["repaired"], own["as_written"], metric)
            cells = [written(*means[name][:3], digits=2) if means[name] else "-" for name in own]
            cells.insert(2, written(*paired, digits=2))
            lines.append([words[metric], part, str(means["repaired"].rows), *cells])
    heads = [name.partition("~")[2].replace("_", " ") or name for name in recipes]
    heads.insert(2, "repaired minus as_written")
    return markdown(["metric", "rows", "n", *heads], lines)


def claims(tables: Path) -> str:
    table = read_csv(tables / "claims.csv")
    in_words = table[table.group != NUMBERS]
    return markdown(["claim", "verdict"], in_words[["claim", "verdict"]].to_numpy().tolist())


# Name of a table -> (what makes it, the file that it needs).
TABLES: dict[str, tuple[Callable[[Path], str], str]] = {
    "long_run": (long_run, "differences.csv"),
    "runs": (runs, "over_seeds.csv"),
    "ablation": (ablation, "ablation.csv"),
    "agents": (agents, "agents.csv"),
    "claims": (claims, "claims.csv"),
    "order": (order, "results.csv"),
    "real": (real, "../answers.parquet"),
    "real_agents": (agents, "agents.csv"),
}


def filled(page: str, results: Path, names: Iterable[str]) -> str:
    """The page with the named tables made again, but those of which `results` has no file."""

    def table(block: re.Match) -> str:
        make, needed = TABLES[block[2]]
        if block[2] not in names or not (results / "tables" / needed).is_file():
            return block[0]
        return f"{block[1]}{make(results / 'tables')}{block[3]}"

    return BLOCK.sub(table, page)


def results_tables(
    results: Annotated[Path, Option("results/ of the embedded default")],
    tables: Annotated[list[str], Option("the tables to make again")],
    page: Annotated[Path, Option("the page to fill in")] = PAGE,
) -> None:
    """Raises EssenceError when a table cannot be read."""
    write_text(page, filled(page.read_text(encoding="utf-8"), results, tables))


if __name__ == "__main__":
    run_stage(results_tables)
