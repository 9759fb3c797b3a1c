"""Read a file of Agent-Instruct rows; every line becomes a row or goes to quarantine.

Each row is linked to its database (`data.linking`), whose file must agree where `--databases` is
given.

In: JSON lines, raw (`idx`, `messages`) or processed (`source`, `target`), or a JSON array of the
same, whose entries then count as lines.
Out: rows.parquet, quarantine.jsonl (one line per refused line, with its number and reason) and a
summary. Of a row only idx and question stay in memory; an array is held whole.

    python -m workflow_scripts.data.read --raw FILE --rows results/data/rows.parquet \\
        --quarantine results/data/quarantine.jsonl --summary results/data/reading.json
"""

import contextlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq

from workflow_scripts.artifacts.data import Quarantined, Reading
from workflow_scripts.artifacts.parquet import iter_rows, schema_of, table_of
from workflow_scripts.artifacts.tables import Row, RowSubject
from workflow_scripts.data.catalog import Catalog
from workflow_scripts.data.checksums import is_the_reports_file
from workflow_scripts.data.lines import Lines, RowError, excerpt, record_in
from workflow_scripts.data.linking import Linker
from workflow_scripts.data.rows import idx_of, row_from
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, written_whole
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Log, Output, Setting, run_stage

BATCH = 256  # rows in memory at a time, and the size of a Parquet row group
FIRST_REASONS = 5


@dataclass
class Tally:
    """What was seen so far."""

    tasks: Counter = field(default_factory=Counter)
    kinds: Counter = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)
    linked: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    without_idx: int = 0

    @property
    def kept(self) -> int:
        return self.tasks.total()

    @property
    def refused(self) -> int:
        return self.kinds.total()


def read_rows(lines: Lines, tally: Tally) -> Iterator[Row | Quarantined]:
    """Yield each line's row, or its line of the quarantine, and count it in `tally`."""
    line_of: dict[int, int] = {}
    for number, line in lines:
        record: dict[str, Any] = {}
        try:
            record = record_in(line)
            row = row_from(record, number)
            if row.idx in line_of:
                before = lines.place(line_of[row.idx])
                raise RowError("duplicate idx", f"idx {row.idx} was already on {before}")
        except RowError as error:
            tally.kinds[error.kind] += 1
            if len(tally.first) < FIRST_REASONS:
                tally.first.append(f"{lines.place(number)}: {error}")
            yield Quarantined(
                line=number,
                idx=idx_of(record),
                kind=error.kind,
                reason=str(error),
                excerpt=excerpt(line),
            )
            continue
        line_of[row.idx] = number
        tally.tasks[row.task] += 1
        tally.without_idx += idx_of(record) is None
        yield row


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
    """Read `raw` into the three files.

    Raises EssenceError when the file is missing, empty or not text, when a database can't be read,
    and, after quarantine and summary were written, when a larger share of the lines than
    `max_quarantine` was refused or no row is left; rows.parquet is then not written.
    """
    check_share("--max-quarantine", max_quarantine)
    for out in (rows, quarantine, summary):
        check_output(out, raw)
    lines, tally = Lines(raw), Tally()
    with (
        written_whole(rows) as rows_part,
        tempfile.TemporaryDirectory(dir=Path(rows).parent, prefix=".unlinked.") as folder,
    ):
        unlinked = Path(folder, "rows.parquet")
        with written_whole(quarantine) as quarantine_part:
            _stream(read_rows(lines, tally), unlinked, quarantine_part)
        _link(unlinked, databases, rows_part, tally)
        reading = _summary(lines, tally, max_quarantine)
        reading.write(summary)
        _refuse_too_much_quarantine(raw, quarantine, tally, max_quarantine)
    counts = ", ".join(f"{task} {count}" for task, count in reading.tasks.items())
    kinds = ", ".join(f"{kind} {n}" for kind, n in reading.quarantined_by_kind.items())
    print(f"{reading.rows} rows ({counts}); {reading.quarantined} lines in quarantine", end="")
    print(f" ({kinds})" if kinds else "")
    print("\n".join([*reading.notes, reading.sentence]))


def _stream(results: Iterator[Row | Quarantined], rows_part: Path, quarantine_part: Path) -> None:
    batch: list[Row] = []
    with (
        pq.ParquetWriter(rows_part, schema_of(Row), compression="zstd") as writer,
        open(quarantine_part, "w", encoding="utf-8") as quarantine,
    ):
        for result in results:
            if isinstance(result, Quarantined):
                quarantine.write(json.dumps(result.model_dump(), ensure_ascii=False) + "\n")
                continue
            batch.append(result)
            if len(batch) == BATCH:
                writer.write_table(table_of(Row, batch))
                batch.clear()
        if batch:
            writer.write_table(table_of(Row, batch))


def _link(unlinked: Path, databases: Path | None, out: Path, tally: Tally) -> None:
    """Copy the rows, each with its link; which ones state a database is known once all are read."""
    with (
        Catalog(databases) if databases else contextlib.nullcontext() as catalog,
        pq.ParquetFile(unlinked) as file,
        pq.ParquetWriter(out, schema_of(Row), compression="zstd") as writer,
    ):
        linker = Linker(iter_rows(RowSubject, unlinked), catalog)
        for group in range(file.num_row_groups):
            rows = [Row(**values) for values in file.read_row_group(group).to_pylist()]
            for row in rows:
                row.database, row.how, row.candidates = linker.link(row)
                tally.linked[row.task][row.how] += 1
            writer.write_table(table_of(Row, rows))


def _summary(lines: Lines, tally: Tally, max_quarantine: float) -> Reading:
    known, sentence = is_the_reports_file(lines.facts)
    notes = []
    if lines.word == "entry":
        notes.append("The file is a JSON array; its entries are numbered as lines are.")
    if lines.bom:
        notes.append("A byte order mark at the start of the file was dropped.")
    if tally.without_idx:
        notes.append(
            f"{tally.without_idx} rows had no number as idx and got their line number as idx."
        )
    if lines.blank:
        notes.append(f"{lines.blank} blank lines were passed over.")
    return Reading(
        file=lines.facts,
        is_the_reports_file=known,
        sentence=sentence,
        notes=notes,
        lines=tally.kept + tally.refused,
        rows=tally.kept,
        tasks={task: tally.tasks[task] for task in TASKS},
        quarantined=tally.refused,
        quarantined_by_kind=dict(sorted(tally.kinds.items())),
        max_quarantine=max_quarantine,
        linked={task: dict(sorted(tally.linked[task].items())) for task in TASKS},
    )


def _refuse_too_much_quarantine(
    path: Path, quarantine_path: Path, tally: Tally, max_quarantine: float
) -> None:
    lines = tally.kept + tally.refused
    if tally.kept and tally.refused <= max_quarantine * lines:
        return
    if not lines:
        raise EssenceError(f"{path}: there are no rows in it; give one JSON object a line.")
    reasons = "\n  ".join(tally.first)
    more = f"\n  and {tally.refused - len(tally.first)} more" * (tally.refused > len(tally.first))
    cure = (
        f"Correct these lines, or raise data.max_quarantine (now {max_quarantine:g})."
        if tally.kept
        else "No row is left: correct these lines, or give another file as data.path."
    )
    raise EssenceError(
        f"{path}: {tally.refused} of {lines} lines ({tally.refused / lines:.1%}) can't be used:"
        f"\n  {reasons}{more}\nAll of them are in {quarantine_path}. {cure}"
    )


if __name__ == "__main__":
    run_stage(read)
