"""The agents end to end: execution accuracy of each setup, and what all of them did, step by step.

Outcomes of every question under every setup come in (agents/evaluate.py); `agents.csv` and a page
go out.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.agents import Trace
from workflow_scripts.artifacts.base import read_lines
from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.artifacts.parquet import read_rows
from workflow_scripts.artifacts.report import AgentScore
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.tables import AgentOutcome
from workflow_scripts.intervals import difference_over_rows, mean_over_rows
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
The three agents at work together on questions that no run has trained on: prune the schema,
decompose, execute, repair.

**How to read it.** Execution accuracy is the share of questions whose final SQL returns the rows
that the gold SQL returns. Each line leaves out one agent, as MAC-SQL's own ablation does, or gives
the others what a perfect one would have done; the difference is to all agents on the same
questions, with a paired interval. *Gold Decomposer* starts from right SQL: what is lost there, the
Refiner has spoilt. *Broken gold* starts from the test rows of the Refiner, gold SQL that was broken
on purpose, and so asks other questions. Below, every step of every question.
"""
CAPTION_CSV = "The agents end to end, with intervals and paired differences."

USES_FILES = ["../pages/templates/agents.html"]

ALL = "all agents"
MEANINGS = {
    ALL: "Selector (if the schema is large), Decomposer, Refiner (if SQL fails)",
    "without Selector": "every agent sees the whole schema",
    "without Decomposer": "SQL for the question itself, without sub-questions",
    "without Refiner": "what fails stays as it is",
    "gold Selector": "the schema as the row's own prompt shows it",
    "gold Decomposer": "gold SQL; the Refiner is asked where it returns no row, or a NULL",
    "broken gold": "the Refiner alone, on gold SQL that was broken",
}
SPLITS = {
    "test": "Databases that training rows ask of",
    "unseen": "Databases that no run has seen",
    "other": "Rows of another file",
}


def scores_of(outcomes: list[AgentOutcome]) -> list[AgentScore]:
    """One line a split and setup, in the order in which they come."""
    groups: dict[tuple[str, str], dict[int, AgentOutcome]] = {}
    for each in outcomes:
        if each.right is not None:
            groups.setdefault((each.split, each.setup), {})[each.idx] = each
    return [
        _score(setup, split, own, groups.get((split, ALL), {}))
        for (split, setup), own in sorted(groups.items(), key=lambda group: _place(group[0][0]))
    ]


def _place(split: str) -> int:
    return list(SPLITS).index(split)


def _score(
    setup: str, split: str, own: dict[int, AgentOutcome], whole: dict[int, AgentOutcome]
) -> AgentScore:
    difference = (None, None, None)
    if setup != ALL and own.keys() == whole.keys():
        pairs = ([side[idx].right for idx in own] for side in (own, whole))
        difference = difference_over_rows(*pairs)
    return AgentScore(
        setup,
        split,
        len(own),
        *mean_over_rows([each.right for each in own.values()]),
        *difference,
        selected=sum(each.selected for each in own.values()),
        repairs=sum(each.repairs for each in own.values()),
    )


def table_of(scores: list[AgentScore]) -> html.Table:
    columns = ["agents", "what happens", "questions", "execution accuracy", "minus all agents"]
    columns += ["Selector asked", "repairs"]
    return html.Table(
        columns,
        [
            [
                html.Name(score.setup),
                MEANINGS[score.setup],
                score.n,
                html.number(score.value, score.low, score.high),
                _difference(score),
                score.selected,
                score.repairs,
            ]
            for score in scores
        ],
    )


def _difference(score: AgentScore) -> str:
    if score.difference is None:
        return ""
    text = f"{score.difference:+.2f} [{score.difference_low:+.2f}, {score.difference_high:+.2f}]"
    if score.difference_low > 0 or score.difference_high < 0:
        return html.tag(text, "good" if score.difference_low > 0 else "bad")
    return text


def tabulate_agents(
    outcomes: Annotated[Path, Input("outcomes.parquet")],
    traces: Annotated[Path, Input("traces.jsonl, of all agents together")],
    best: Annotated[BestRuns, Input("best_runs.json: whose answers these are")],
    recipe: Annotated[str, Setting("of the run that answers")],
    table: Annotated[Path, Output("agents.csv")],
) -> html.Page:
    lines = read_rows(AgentOutcome, outcomes)
    scores = scores_of(lines)
    write_csv(table, AgentScore, scores)
    together = [line for line in lines if line.setup == ALL]
    questions = list(zip(together, read_lines(Trace, traces), strict=True))
    run = best.recipes[recipe]
    values = {
        "lead": (
            f"The agents are the run {run.run} of the recipe {run.recipe}, seed {run.seed}. "
            "Intervals are 95 % intervals over questions."
        ),
        "tables": {
            words: table_of([score for score in scores if score.split == split])
            for split, words in SPLITS.items()
            if any(score.split == split for score in scores)
        },
        "questions": {
            words: [pair for pair in questions if pair[0].split == split]
            for split, words in SPLITS.items()
        },
        "tag": _verdict_tag,
    }
    return html.Page("The agents end to end", values, "agents.html")


def _verdict_tag(outcome: AgentOutcome) -> html.Markup:
    return html.tag(outcome.verdict, "good" if outcome.verdict == "right" else "bad")


if __name__ == "__main__":
    run_stage(tabulate_agents, write_page)
