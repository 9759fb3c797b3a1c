"""Experiment 4: the best run on two rows of each task, beside gold.

`draw` picks the rows, once from the held-out rows and once, as the report did, from all rows
(training rows included: each says where it comes from). `page` shows question, gold and answer.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.artifacts.parquet import write_parquet
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import read_json, write_json, write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import verdict_of

CAPTION = """\
Experiment 4: the best run, chosen by the rule named on the page, on two rows of each task.

**How to read it.** Left the answer in the data, right what the model wrote. The first part holds
rows that were kept from training. The second part draws from all rows, as the report did; each row
says whether this run trained on it (A11).

**What the report says.** The model shows a basic understanding of the tasks but hallucinates; the
judgement was made by eye, on six rows, training rows among them.
"""

NEVER = "not used in this run"


def draw(rows: pa.Table, per_task: int, seed: int) -> pa.Table:
    """`per_task` rows of each task, in the order of the tasks.

    Raises EssenceError naming the task that has too few rows.
    """
    rng = random.Random(seed)
    places: list[int] = []
    tasks = rows["task"].to_pylist()
    for task in TASKS:
        known = [place for place, each in enumerate(tasks) if each == task]
        if known and len(known) < per_task:
            raise EssenceError(
                f"best_run.rows_per_task: {per_task} rows of each task are wanted, but there are "
                f"{len(known)} {task} rows. Lower it or draw a larger test set."
            )
        places += sorted(rng.sample(known, per_task)) if known else []
    return rows.take(places)


def origins(parts: dict[str, Path]) -> dict[int, str]:
    """idx -> where the run met the row; `parts`: name -> rows file."""
    found: dict[int, str] = {}
    for name, path in parts.items():
        found |= dict.fromkeys(pq.read_table(path, columns=["idx"])["idx"].to_pylist(), name)
    return found


def page(
    predictions: list[dict[str, Any]], origin: dict[int, str], best: dict[str, Any], note: str
) -> str:
    """`predictions`: the held-out rows as split test, those from all rows as split val."""
    losers = ", ".join(f"{each['run']} {each['value']:.4g}" for each in best["ranking"][1:3])
    lead = (
        f'<p class="lead">The run <strong>{html.escape(best["run"])}</strong> of the recipe '
        f"<strong>{html.escape(best['recipe'])}</strong> (seed {best['seed']}) was chosen by "
        f"{html.escape(best['metric'])} on {html.escape(best['split'])} rows: "
        f"{best['value']:.4g}{f'; next came {html.escape(losers)}' if losers else ''}. "
        "Left is the answer in the data, right what the model wrote.</p>"
    )
    parts = [lead]
    for split, title in (
        ("test", "Held-out rows"),
        ("val", "Rows from all rows, as in the report"),
    ):
        parts.append(f"<h2>{title}</h2>")
        for row in predictions:
            if row["split"] == split:
                parts.append(_card(row, origin.get(row["idx"], NEVER)))
    return html.page("Experiment 4: answers of the best run", note, "\n".join(parts))


def _card(row: dict[str, Any], origin: str) -> str:
    text, kind = verdict_of(row)
    head = f"<strong>{row['task']}</strong> · row {row['idx']} · {html.escape(origin)}"
    if row["db_id"]:
        head += f" · database {html.escape(row['db_id'])}"
    return (
        f'<div class="card"><p>{head} {html.tag(text, kind)}</p>'
        f"<p>{html.escape(row['question'])}</p>"
        f'<div class="pair"><div><h3>gold</h3><pre>{html.escape(row["gold"])}</pre></div>'
        f"<div><h3>answer of the model</h3><pre>{html.escape(row['prediction'])}</pre></div>"
        "</div></div>"
    )


def run_draw(args: argparse.Namespace) -> None:
    parts = {"training row": args.train, "validation row": args.val}
    if args.test:
        parts["test row"] = args.test
    held_out = draw(pq.read_table(args.test or args.val), args.per_task, args.seed)
    write_parquet(args.held_out, held_out)
    whole = draw(pq.read_table(args.rows), args.per_task, args.seed)
    write_parquet(args.from_all, whole)
    known = origins(parts)
    chosen = [*held_out["idx"].to_pylist(), *whole["idx"].to_pylist()]
    write_json(args.origins, {str(idx): known.get(idx, NEVER) for idx in sorted(set(chosen))})


def run_page(args: argparse.Namespace) -> None:
    predictions = pq.read_table(args.predictions).to_pylist()
    origin = {int(idx): name for idx, name in read_json(args.origins).items()}
    write_text(args.out, page(predictions, origin, read_json(args.best), args.note))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("draw", help="pick the rows")
    command.add_argument("--rows", required=True, help="results/data/rows.parquet")
    command.add_argument("--train", required=True, help="the best run's training rows")
    command.add_argument("--val", required=True, help="the best run's validation rows")
    command.add_argument("--test", help="the test rows; without them the validation rows serve")
    command.add_argument("--per-task", type=int, default=2)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--held-out", required=True, help="Parquet to write")
    command.add_argument("--from-all", required=True, help="Parquet to write")
    command.add_argument("--origins", required=True, help="JSON to write: where each row was met")
    command.set_defaults(run=run_draw)
    command = commands.add_parser("page", help="show the answers")
    command.add_argument("--predictions", required=True, help="held out as test, the rest as val")
    command.add_argument("--origins", required=True)
    command.add_argument("--best", required=True, help="results/tables/best_run.json")
    command.add_argument("--note", default="")
    command.add_argument("--out", required=True, help="HTML page")
    command.set_defaults(run=run_page)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    run_cli(main)
