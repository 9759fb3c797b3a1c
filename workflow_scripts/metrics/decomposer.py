"""Decomposer answers one by one: fences, steps, and names that the schema hasn't.

The answer's form is MAC-SQL's (Wang et al. 2023, https://arxiv.org/abs/2312.11242, section 3.3):
sub-questions, each with fenced SQL, the last one being the answer. What that SQL returns is for the
execution metrics.
"""

from workflow_scripts.formats.answers import AnswerError, parse_decomposer, sql_as_asked
from workflow_scripts.sql.parse import parse
from workflow_scripts.sql.schema_names import schema_names, unknown_names


def decomposer_metrics(prediction: str, gold: str, schema: str) -> dict[str, float]:
    """Metrics of one answer.

    `fence_rate`: it has SQL in the form that gold has, a fence as a rule; `parse_rate`: that SQL
    parses; `known_names_rate`: it parses and the schema has every name in it; `unknown_names`: how
    many it hasn't;
    `sub_questions`: how many there are; `sub_questions_as_gold`: as many as in the gold answer.
    """
    sql = sql_as_asked(prediction, gold) or ""
    parses = parse(sql) is not None
    row = {"fence_rate": float(bool(sql)), "parse_rate": float(parses)}
    unknown = unknown_names(sql, schema_names(schema))
    row["known_names_rate"] = float(parses and not unknown)
    if parses:
        row["unknown_names"] = float(len(unknown))
    steps = sub_questions(prediction)
    row["sub_questions"] = float(steps)
    row["sub_questions_as_gold"] = float(steps == sub_questions(gold))
    return row


def sub_questions(answer: str) -> int:
    """0 where the answer hasn't the form of its task."""
    try:
        return len(parse_decomposer(answer))
    except AnswerError:
        return 0
