"""Show a trace as text in a terminal."""

from collections.abc import Iterator

from workflow_scripts.artifacts.agents import AgentStep, Cell, Executed, Trace

MOST_ROWS = 20
WIDEST = 40  # characters of a cell


def answer_lines(trace: Trace) -> Iterator[str]:
    """Show the SQL and its rows, or say why there are none."""
    if not trace.answered:
        yield refusal(trace)
        return
    yield trace.sql
    yield ""
    yield from table_lines(trace.executed)


def refusal(trace: Trace) -> str:
    """Say in one sentence why a trace has no answer."""
    repairs = sum(step.agent == "Refiner" for step in trace.steps)
    tries = f" after {repairs} repair{'s' * (repairs > 1)}" if repairs else ""
    if trace.sql is None:
        return "No answer: the model wrote no SQL."
    return f"No answer: the SQL fails{tries} ({printable(trace.executed.error or '')})."


def table_lines(result: Executed) -> Iterator[str]:
    """Align column names and the first rows, then count the rows."""
    rows = [[cell_text(cell) for cell in row] for row in result.rows[:MOST_ROWS]]
    heads = [_cut(printable(name)) for name in result.columns]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for line in (heads, ["-" * width for width in widths], *rows):
        yield "  ".join(
            text.ljust(width) for text, width in zip(line, widths, strict=True)
        ).rstrip()
    shown = f", the first {len(rows)} of them shown" if result.row_count > len(rows) else ""
    yield f"({result.row_count:,} row{'s' * (result.row_count != 1)}{shown})"


def cell_text(cell: Cell) -> str:
    if cell is None:
        return "NULL"
    return _cut(f"x'{cell['hex']}'" if isinstance(cell, dict) else printable(str(cell)))


def printable(text: str) -> str:
    """Escape what is not printable, so that no text can control the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def trace_lines(trace: Trace) -> Iterator[str]:
    """Show each agent's step."""
    if not any(step.agent == "Selector" for step in trace.steps):
        yield f"Selector: not asked, the schema has only {trace.columns_in_database} columns"
    for number, step in enumerate(trace.steps, 1):
        yield f"{number}. {step.agent} ({step.seconds:.2f} s)"
        yield from (f"   {line}" for line in _step_lines(step, trace))
    yield ""


def _step_lines(step: AgentStep, trace: Trace) -> Iterator[str]:
    if step.unread_tokens:
        yield f"(the prompt is too long for the model: {step.unread_tokens:,} tokens not read)"
    if step.problem:
        yield f"{printable(step.problem)}. It wrote:"
        yield from map(printable, step.answer.splitlines())
    if step.agent == "Selector" and step.selection:
        kept = sum(map(len, trace.seen.values()))
        yield f"{kept} of {trace.columns_in_database} columns are shown to the others:"
        yield from (f"{table}: {', '.join(names)}" for table, names in trace.seen.items())
    for number, pair in enumerate(step.sub_questions, 1):
        yield f"sub-question {number}: {printable(pair.question)}"
        if number < len(step.sub_questions):
            yield from (f"   {printable(line)}" for line in pair.sql.splitlines())
    if step.sql:
        yield from map(printable, step.sql.splitlines())
        result = step.executed
        outcome = (
            f"{result.row_count:,} rows" if result.status == "ok" else printable(result.error or "")
        )
        yield f"-> {result.status}: {outcome}"
