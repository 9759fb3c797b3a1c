"""Selector answers one by one: is it JSON, does it keep the right tables and columns?

The task is MAC-SQL's (Wang et al. 2023, https://arxiv.org/abs/2312.11242, section 3.2); it has no
metric of its own there. Precision and recall are those of schema linking (Lei et al. 2020,
"Re-examining the Role of Schema Linking in Text-to-SQL"): sets of names against the gold answer's.
"keep_all" keeps every column of the table, "drop_all" and tables that aren't mentioned keep none.
"""

from workflow_scripts.formats.answers import AnswerError, Selection, parse_selector
from workflow_scripts.formats.schema import fold_name
from workflow_scripts.sql.schema_names import (
    Columns,
    Schema,
    columns_of,
    needed_columns,
    schema_names,
)


def kept(selection: Selection, schema: Schema) -> Columns:
    """Columns that an answer keeps; those of tables that don't exist count as (table, "*")."""
    chosen = set()
    for table, choice in selection.items():
        table = fold_name(table)
        if choice == "keep_all":
            chosen |= {(table, column) for column in schema.get(table, ("*",))}
        elif choice != "drop_all":
            chosen |= {(table, fold_name(column)) for column in choice}
    return frozenset(chosen)


def overlap(given: set, wanted: set) -> tuple[float, float, float]:
    """(precision, recall, F1) of two sets; 1 for what is asked of an empty set."""
    both = len(given & wanted)
    precision = both / len(given) if given else float(not wanted)
    recall = both / len(wanted) if wanted else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if both else (
        float(not given and not wanted)
    )  # fmt: skip


def selector_metrics(
    prediction: str, gold: str, schema: str, asked_sql: str | None = None
) -> dict[str, float]:
    """Metrics of one answer; an answer that is no JSON object keeps nothing.

    `needed_recall` is the share of the columns that `asked_sql`, the gold SQL, needs and the answer
    keeps; it is there only with such SQL. `compression` is the share of the schema's columns left
    out, of an answer that is JSON: one that can't be read compresses nothing.
    """
    offered = schema_names(schema)
    given, valid = _selection(prediction)
    wanted, _ = _selection(gold)
    ours, theirs = kept(given, offered), kept(wanted, offered)
    row = {"valid_json": float(valid)}
    for what, pair in (
        ("table", ({t for t, _ in ours}, {t for t, _ in theirs})),
        ("column", (ours, theirs)),
    ):
        names = (f"{what}_precision", f"{what}_recall", f"{what}_f1")
        row.update(zip(names, overlap(*map(set, pair)), strict=True))
    needed = needed_columns(asked_sql, offered) if asked_sql else []
    if needed:
        row["needed_recall"] = sum(bool(group & ours) for group in needed) / len(needed)
    total = columns_of(offered)
    if total and valid:
        row["compression"] = 1 - len(ours & total) / len(total)
    return row


def _selection(answer: str) -> tuple[Selection, bool]:
    try:
        return parse_selector(answer), True
    except AnswerError:
        return {}, False
