"""Answers of MAC-SQL's agents one by one (Wang et al. 2023, https://arxiv.org/abs/2312.11242).

The paper has no metrics of its own for the Selector (its section 3.2) and the Refiner (3.4). What
the SQL of an answer returns is for the metrics of execution.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflow_scripts.formats import answers
from workflow_scripts.formats.schema import fold_name
from workflow_scripts.metrics.execution import same_query
from workflow_scripts.sql.parse import needed_columns, parse, schema_names, unknown_names


def selector_metrics(
    prediction: str, gold: str, schema: str, asked_sql: str | None = None
) -> dict[str, float]:
    """Does an answer keep the right tables and columns? One that is no JSON keeps nothing.

    Precision and recall are those of schema linking (Lei et al. 2020, "Re-examining the Role of
    Schema Linking in Text-to-SQL"): sets of names against the gold answer's. `needed_recall`: the
    share kept of the columns that `asked_sql`, the gold SQL, needs. `compression`: the share of the
    schema's columns left out, of an answer that is JSON.
    """
    offered = schema_names(schema)
    given, wanted = (_parsed(answer, answers.parse_selector) for answer in (prediction, gold))
    ours, theirs = _kept(given, offered), _kept(wanted, offered)
    row = {"valid_json": float(given is not None)}
    tables = [{table for table, _ in columns} for columns in (ours, theirs)]
    for what, pair in (("table", tables), ("column", (ours, theirs))):
        names = (f"{what}_precision", f"{what}_recall", f"{what}_f1")
        row.update(zip(names, _overlap(*pair), strict=True))
    if needed := needed_columns(asked_sql, offered) if asked_sql else []:
        row["needed_recall"] = sum(bool(group & ours) for group in needed) / len(needed)
    total = {(table, column) for table, columns in offered.items() for column in columns}
    if total and given is not None:
        row["compression"] = 1 - len(ours & total) / len(total)
    return row


def _kept(selection: answers.Selection | None, schema: Mapping[str, Sequence[str]]) -> set:
    """Columns that an answer keeps; those of tables that don't exist count as (table, "*")."""
    chosen = set()
    for table, choice in (selection or {}).items():
        table = fold_name(table)
        if choice == "keep_all":
            chosen |= {(table, column) for column in schema.get(table, ("*",))}
        elif choice != "drop_all":
            chosen |= {(table, fold_name(column)) for column in choice}
    return chosen


def _overlap(given: set, wanted: set) -> tuple[float, float, float]:
    """(precision, recall, F1) of two sets; 1 for what is asked of an empty set."""
    both = len(given & wanted)
    precision = both / len(given) if given else float(not wanted)
    recall = both / len(wanted) if wanted else 1.0
    f1 = 2 * precision * recall / (precision + recall) if both else float(not given and not wanted)
    return precision, recall, f1


def decomposer_metrics(prediction: str, gold: str, schema: str) -> dict[str, float]:
    """Has an answer the form of its task (section 3.3), and what names does it use?

    `fence_rate`: it has SQL in the form that gold has, a fence as a rule. `known_names_rate`: its
    SQL parses and the schema has every name in it; `unknown_names`: how many it hasn't.
    `sub_questions`: 0 where the answer hasn't the form.
    """
    sql = answers.sql_as_asked(prediction, gold) or ""
    parses = parse(sql) is not None
    unknown = unknown_names(sql, schema_names(schema))
    pairs = [_parsed(answer, answers.parse_decomposer) or () for answer in (prediction, gold)]
    ours, theirs = map(len, pairs)
    row = {
        "fence_rate": float(bool(sql)),
        "parse_rate": float(parses),
        "known_names_rate": float(parses and not unknown),
        "sub_questions": float(ours),
        "sub_questions_as_gold": float(ours == theirs),
    }
    return row | ({"unknown_names": float(len(unknown))} if parses else {})


def _parsed(answer: str, parse_answer: Callable[[str], Any]) -> Any:
    """What an answer says, or None where it hasn't the form of its task."""
    try:
        return parse_answer(answer)
    except answers.AnswerError:
        return None


def refiner_metrics(
    predicted_sql: str | None,
    old_sql: str | None,
    execution_accuracy: float | None,
    old_accuracy: float | None,
) -> dict[str, float]:
    """Is the query repaired, left broken, spoilt or untouched? Accuracies are of the same gold.

    `fix_rate`: right now, among those that were wrong; `regression_rate`: wrong now, among those
    that were right; `unchanged_rate`: the same SQL in whatever spelling, also where gold can't be
    run.
    """
    row = {"unchanged_rate": float(same_query(predicted_sql or "", old_sql or ""))}
    if execution_accuracy is None or old_accuracy is None:
        return row
    if old_accuracy:
        return row | {"regression_rate": 1.0 - execution_accuracy}
    return row | {"fix_rate": execution_accuracy}
