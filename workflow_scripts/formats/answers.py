"""The answers of the three agents: parsed, and written as in the Agent-Instruct rows."""

import json
import re

from workflow_scripts.errors import EssenceError

Selection = dict[str, str | list[str]]  # table -> "keep_all" | "drop_all" | columns

_FENCE = re.compile(r"```[ \t]*(?:sqlite|sql|json)?[ \t]*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_CLOSED_OR_CUT_SHORT = re.compile(_FENCE.pattern[:-3] + r"(?:```|\Z)", _FENCE.flags)
_SUB_QUESTION = re.compile(r"^[ \t]*Sub question\s*\d+\s*:", re.MULTILINE | re.IGNORECASE)


class AnswerError(EssenceError):
    """An answer without the form that its task asks for."""


def parse_selector(text: str) -> Selection:
    """The JSON object of a Selector's answer, fenced or bare.

    Raises AnswerError unless it maps tables to "keep_all", "drop_all" or a list of columns.
    """
    fences = _FENCE.findall(text)
    body = fences[-1] if fences else text[text.find("{") : text.rfind("}") + 1]
    try:
        selection = json.loads(body)
    except json.JSONDecodeError as error:
        raise AnswerError(f"Selector answer: no JSON object ({error.msg})") from error
    if not isinstance(selection, dict) or not selection:
        raise AnswerError("Selector answer: not a JSON object of tables")
    for table, choice in selection.items():
        columns = isinstance(choice, list) and all(isinstance(c, str) for c in choice)
        if not columns and choice not in ("keep_all", "drop_all"):
            raise AnswerError(
                f'Selector answer: table {table!r} is neither "keep_all", "drop_all" nor a list '
                "of columns"
            )
    return selection


def parse_decomposer(text: str) -> list[tuple[str, str]]:
    """(sub-question, SQL) pairs; the SQL is "" where a sub-question has none of its own.

    Raises AnswerError when there is no sub-question or the last one has no SQL.
    """
    pairs = []
    for part in _SUB_QUESTION.split(text)[1:]:
        fences = _FENCE.findall(part)
        question = part.partition("```")[0].strip()
        question = re.sub(r"\s*\bSQL:?\Z", "", question)
        pairs.append((question, fences[-1].strip() if fences else ""))
    if not pairs:
        raise AnswerError("Decomposer answer: no line 'Sub question 1: ...'")
    if not pairs[-1][1]:
        raise AnswerError("Decomposer answer: the last sub question has no fenced SQL")
    return pairs


def extract_sql(answer: str, *, lenient: bool = False) -> str | None:
    """The SQL that an answer gives; None when it gives none. Nothing else takes SQL from answers.

    Strict, as the pipeline asks its models: what stands in the last closed fence. Lenient, for
    answers of models that were asked otherwise: the last fence that holds anything, its end perhaps
    cut off; and the whole text where there is no fence, so that plain SQL may be given too (prose
    then counts as SQL that doesn't run).
    """
    fences = (_CLOSED_OR_CUT_SHORT if lenient else _FENCE).findall(answer)
    if lenient:
        fences = [fence for fence in fences if fence.strip()] if fences else [answer]
    return (fences[-1].strip() or None) if fences else None


def render_selector(selection: Selection) -> str:
    lines = ",\n".join(
        f"  {json.dumps(table, ensure_ascii=False)}: {json.dumps(choice, ensure_ascii=False)}"
        for table, choice in selection.items()
    )
    return f"\n```json\n{{\n{lines}\n}}\n```\n"


def render_decomposer(pairs: list[tuple[str, str]]) -> str:
    parts = [
        f"Sub question {number}: {question}\nSQL\n```sql\n{sql}\n```\n"
        for number, (question, sql) in enumerate(pairs, 1)
    ]
    return "\n" + "\n".join(parts) + "\nQuestion Solved.\n"


def render_refiner(sql: str) -> str:
    return f"\n```sql\n{sql}\n```\n"
