"""Read a file of Agent-Instruct rows; every line becomes a row or goes to quarantine.

Lines are JSON, raw (`idx`, `messages`) or processed (`source`, `target`); the entries of a JSON
array count as lines. Each row is linked to its database (`data.linking`), whose file must agree
where `--databases` is given. All rows are in memory at a time.

    python -m workflow_scripts.data.read --raw FILE --rows results/data/rows.parquet \\
        --quarantine results/data/quarantine.jsonl --summary results/data/reading.json
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.data.checksums import facts_of, is_the_reports_file
from workflow_scripts.data.linking import Linker
from workflow_scripts.data.rows import Lines, RowError, idx_of, record_in, row_from
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.stage import Input, Log, Output, Setting, run_stage
from workflow_scripts.tables import ROWS, Row, write_table

REASONS = 5  # that are shown
EXCERPT = 200  # characters of a refused line


def read_rows(lines: Lines) -> tuple[list[Row], list[dict[str, Any]]]:
    """The rows, and the lines of the quarantine."""
    rows: dict[int, Row] = {}
    quarantine = []
    for number, line in lines:
        record: dict[str, Any] = {}
        try:
            record = record_in(line)
            row = row_from(record, number)
            if row.idx in rows:
                before = lines.place(rows[row.idx].line)
                raise RowError("duplicate idx", f"idx {row.idx} was already on {before}")
            rows[row.idx] = row
        except RowError as error:
            excerpt = line[: 4 * EXCERPT].decode(errors="replace").strip()[:EXCERPT]
            problem = {"kind": error.kind, "reason": str(error), "excerpt": excerpt}
            quarantine.append({"line": number, "idx": idx_of(record), **problem})
    return list(rows.values()), quarantine


def read(
    raw: Annotated[Path, Input("rows, raw or processed: JSON lines or an array")],
    rows: Annotated[Path, Output("rows.parquet")],
    quarantine: Annotated[Path, Log("JSONL: the refused lines, each with its reason")],
    summary: Annotated[Path, Output("JSON: what was read")],
    max_quarantine: Annotated[
        float, Setting("share of the lines that may be refused before this is a failure")
    ] = 0.01,
    databases: Annotated[
        Path | None, Setting("folder of <db_id>/<db_id>.sqlite, which links must agree with")
    ] = None,
) -> None:
    """Raises EssenceError for a file of rows or of a database that can't be read.

    So it does, with the quarantine and summary written but no rows, where a larger share of the
    lines than `max_quarantine` was refused or no row is left.
    """
    check_share("--max-quarantine", max_quarantine)
    for out in (rows, quarantine, summary):
        check_output(out, raw)
    lines, facts = Lines(raw), facts_of(raw)
    unlinked, refused = read_rows(lines)
    write_jsonl(quarantine, refused)
    if databases and not databases.is_dir():
        raise EssenceError(f"{databases}: no such folder of databases")
    linker = Linker(unlinked, dict(list_databases(databases)) if databases else None)
    linked = [row._replace(**linker.link(row)._asdict()) for row in unlinked]
    kinds = Counter(each["kind"] for each in refused)
    how = {task: Counter(row.how for row in linked if row.task == task) for task in TASKS}
    reading = {
        "file": facts,
        "is_the_reports_file": is_the_reports_file(facts),
        "numbered": lines.word,
        "lines": len(linked) + len(refused),
        "rows": len(linked),
        "tasks": {task: ways.total() for task, ways in how.items()},
        "quarantined": len(refused),
        "quarantined_by_kind": kinds,
        "max_quarantine": max_quarantine,
        "linked": how,  # task -> how its rows were linked, or why not -> rows
    }
    write_json(summary, reading)
    if not linked or len(refused) > max_quarantine * reading["lines"]:
        counts = reading["lines"], max_quarantine
        raise EssenceError(too_many_refused(lines, refused, *counts, quarantine))
    write_table(rows, linked, ROWS)
    counts = ", ".join(f"{task} {count}" for task, count in reading["tasks"].items())
    print(f"{len(linked)} rows ({counts}); {len(refused)} lines in quarantine")
    for kind, count in kinds.items():
        print(f"quarantine: {count} {kind}")
    known = "the" if reading["is_the_reports_file"] else "not the"
    print(f"This is {known} report's file (git blob id {facts['git_blob_sha1'][:12]}).")


def too_many_refused(
    lines: Lines, refused: list[dict[str, Any]], of_all: int, limit: float, quarantine: Path
) -> str:
    if not of_all:
        return f"{lines.path}: there are no rows in it; give one JSON object a line."
    count, cure = len(refused), f"raise data.max_quarantine (now {limit:g})"
    if count == of_all:
        cure = "give another file as data.path, as no row is left"
    first = [f"\n  {lines.place(each['line'])}: {each['reason']}" for each in refused[:REASONS]]
    return (
        f"{lines.path}: {count} of {of_all} lines ({count / of_all:.1%}) can't be used:"
        f"{''.join(first)}\nAll of them are in {quarantine}. Correct these lines, or {cure}."
    )


if __name__ == "__main__":
    run_stage(read)
