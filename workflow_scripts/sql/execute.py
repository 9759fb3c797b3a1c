"""Run one query on a SQLite file, reading only and within limits.

python -m workflow_scripts.sql.execute DATABASE "SELECT ..." --json
"""

import math
import sys
from json import dumps as to_json
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Operand, Option, run_stage


def execute(
    database: Annotated[Path, Operand("a SQLite file")],
    sql: Annotated[str, Operand("one query")],
    json: Annotated[bool, Option("print one JSON object; the status is in it")] = False,
    seconds: Annotated[float, Option("most processor time")] = Limits.seconds,
    rows: Annotated[int, Option("most rows of the result")] = Limits.rows,
    cell_bytes: Annotated[int, Option("largest cell")] = Limits.cell_bytes,
    sql_bytes: Annotated[int, Option("longest query")] = Limits.sql_bytes,
    result_bytes: Annotated[int, Option("largest result")] = Limits.result_bytes,
    memory_mb: Annotated[int, Option("most memory of the process")] = Limits.memory_mb,
) -> int:
    """Run one query; return 1 when it failed and the output is not JSON."""
    limits = Limits(seconds, rows, cell_bytes, sql_bytes, result_bytes, memory_mb)
    result = Sandbox(limits).execute(database, sql)
    if json:
        answer = vars(result) | {"rows": result.rows and json_rows(result.rows)}
        print(to_json(answer, allow_nan=False))
        return 0
    if not result.ok:
        print(f"{result.status}: {result.error}", file=sys.stderr)
        return 1
    for row in result.rows:
        print("\t".join("NULL" if cell is None else str(cell) for cell in row))
    return 0


def json_rows(rows: list[tuple]) -> list[list[Any]]:
    """Write rows as strict JSON: bytes as {"hex": ...}, an infinite number as text."""

    def write(cell: Any) -> Any:
        if isinstance(cell, bytes):
            return {"hex": cell.hex()}
        return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell

    return [list(map(write, row)) for row in rows]


if __name__ == "__main__":
    run_stage(execute)
