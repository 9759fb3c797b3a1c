"""A page to look through predictions: search, filter by task, run and verdict; works offline.

One page for a recipe: the held-out answers (validation and test rows) of all its runs. Questions
and gold are stored once, however many runs answered them.
"""

import argparse
from typing import Any

import pyarrow.parquet as pq

from workflow_scripts.errors import run_cli
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import verdict_of
from workflow_scripts.report.runs import Run, first_seed, read_runs

CAPTION = """\
Every answer on held-out rows, to search and to filter by run, task and verdict. The page works
without a network. Of several seeds the first is shown.

**How to read it.** *exact*: equal to the answer in the data. *equal after loss*: equal to what the
tokenizer can write of that answer, which is what the original notebooks compared with. *cut*: the
limit of generated tokens was reached (A5). *different*: none of these.
"""

SPLITS = ("test", "val")
BODY = """
<p class="lead">Every answer on held-out rows. <em>exact</em>: equal to the answer in the data.
<em>equal after loss</em>: equal to what the tokenizer can write of it, which is what the original
notebooks compared with. <em>cut</em>: the limit of generated tokens was reached. Where the SQL
of an answer was executed, a second sign says what came of it: <em>right</em>: what gold returns.
</p>
<div class="controls">
<label>run<select id="run"></select></label>
<label>rows<select id="split"></select></label>
<label>task<select id="task"></select></label>
<label>verdict<select id="verdict"></select></label>
<label>executed<select id="executed"></select></label>
<label>search in question, gold and answer<input id="search" type="search" size="28"></label>
<button id="back" type="button">back</button><button id="next" type="button">next</button>
<span id="count" role="status"></span>
</div>
<div id="list"></div>
"""
SCRIPT = """
'use strict';
const DATA = __DATA__, PAGE = 20, $ = id => document.getElementById(id);
let first = 0;
function options(id, values, all) {
  for (const value of all ? ['all', ...values] : values) {
    const option = document.createElement('option');
    option.value = option.textContent = value;
    $(id).append(option);
  }
}
function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function found() {
  const wanted = id => $(id).value, text = wanted('search').toLowerCase();
  return DATA.answers.filter(answer => {
    const row = DATA.rows[answer.row];
    return (answer.run === wanted('run'))
      && (wanted('split') === 'all' || row.split === wanted('split'))
      && (wanted('task') === 'all' || row.task === wanted('task'))
      && (wanted('verdict') === 'all' || answer.verdict === wanted('verdict'))
      && (wanted('executed') === 'all' || answer.executed === wanted('executed'))
      && (!text || (row.question + '\\n' + row.gold + '\\n' + answer.text).toLowerCase()
        .includes(text));
  });
}
function card(answer) {
  const row = DATA.rows[answer.row], box = element('div', undefined, 'card');
  const head = element('p'), pair = element('div', undefined, 'pair');
  head.append(element('strong', row.task), ` · ${row.split} row ${row.idx}`
    + (row.db_id ? ` · database ${row.db_id}` : '') + ' ',
    element('span', answer.verdict, 'tag ' + answer.kind));
  if (answer.executed) {
    const good = answer.executed === 'right' ? 'good' : 'unsure';
    const why = answer.error ? `: ${answer.error}` : '';
    head.append(' ', element('span', `executed: ${answer.executed}${why}`, 'tag ' + good));
  }
  for (const [title, text] of [['gold', row.gold], ['answer of the model', answer.text]]) {
    const side = element('div');
    side.append(element('h3', title), element('pre', text));
    pair.append(side);
  }
  box.append(head, element('p', row.question), pair);
  if (row.schema !== null) {
    const fold = element('details');
    fold.append(element('summary', 'schema'), element('pre', DATA.schemas[row.schema]));
    box.append(fold);
  }
  return box;
}
function show() {
  const answers = found();
  first = Math.max(0, Math.min(first, PAGE * Math.floor((answers.length - 1) / PAGE)));
  const shown = answers.slice(first, first + PAGE);
  $('list').replaceChildren(...shown.map(card));
  const right = answers.filter(answer => answer.verdict === 'exact').length;
  $('count').textContent = answers.length
    ? `${first + 1} to ${first + shown.length} of ${answers.length}; exact: ${right}`
    : 'nothing found';
  $('back').disabled = first === 0;
  $('next').disabled = first + PAGE >= answers.length;
}
options('run', DATA.runs, false);
options('split', DATA.splits, true);
options('task', DATA.tasks, true);
options('verdict', DATA.verdicts, true);
options('executed', DATA.executed, true);
$('executed').parentElement.hidden = !DATA.executed.length;
for (const id of ['run', 'split', 'task', 'verdict', 'executed']) {
  $(id).addEventListener('change', () => { first = 0; show(); });
}
$('search').addEventListener('input', () => { first = 0; show(); });
$('back').addEventListener('click', () => { first -= PAGE; show(); });
$('next').addEventListener('click', () => { first += PAGE; show(); });
show();
"""


def executed_answers(run: Run) -> dict[tuple[str, int], dict[str, str]]:
    """(split, idx) -> the row's schema and what executing the answer's SQL gave.

    Empty where nothing was executed; the Selector writes no SQL and has its schema alone.
    """
    path = run.folder / "verdicts.parquet"
    if not path.is_file():
        return {}
    columns = ["split", "idx", "task", "verdict", "error", "schema"]
    told = {}
    for line in pq.read_table(path, columns=columns).to_pylist():
        outcome = {"executed": line["verdict"], "error": line["error"] or ""}
        shown = {} if line["task"] == "Selector" else outcome
        told[line["split"], line["idx"]] = shown | {"schema": line["schema"]}
    return told


def collect(runs: list[Run]) -> dict[str, Any]:
    """Rows once, answers by run; the runs in their natural order."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    schemas: dict[str, int] = {}  # many rows share one: each is kept once
    answers = []
    for run in runs:
        executed = executed_answers(run)
        table = pq.read_table(run.folder / "predictions.parquet")
        for line in table.to_pylist():
            if line["split"] not in SPLITS:
                continue
            key = (line["split"], line["idx"])
            told = dict(executed.get(key, {}))
            schema = told.pop("schema", None)
            if key not in rows:
                kept = ("split", "idx", "task", "db_id", "question", "gold")
                rows[key] = {name: line[name] for name in kept} | {"place": len(rows)}
                place = None if schema is None else schemas.setdefault(schema, len(schemas))
                rows[key]["schema"] = place
            verdict, kind = verdict_of(line)
            answer = {"run": run.name, "row": rows[key]["place"], "text": line["prediction"]}
            answer |= {"verdict": verdict, "kind": kind}
            answers.append(answer | told)
    return {
        "rows": list(rows.values()),
        "schemas": list(schemas),
        "answers": answers,
        "runs": [run.name for run in runs],
        "splits": [split for split in SPLITS if any(key[0] == split for key in rows)],
        "tasks": list(TASKS),
        "verdicts": ["exact", "equal after loss", "cut", "different"],
        "executed": sorted({answer["executed"] for answer in answers if "executed" in answer}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="run folders of one recipe")
    parser.add_argument("--note", default="", help="small print: what the data and model are")
    parser.add_argument("--out", required=True, help="HTML page")
    args = parser.parse_args()
    runs = list(first_seed(read_runs(args.runs)).values())
    script = SCRIPT.replace("__DATA__", html.embedded(collect(runs)))
    title = f"Predictions of the recipe {runs[0].recipe}"
    write_text(args.out, html.page(title, args.note, BODY, script))


if __name__ == "__main__":
    run_cli(main)
