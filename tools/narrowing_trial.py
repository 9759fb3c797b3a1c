"""How often do the tables that a question needs stay, when a schema of 100 tables is narrowed?

    python -m tools.narrowing_trial --databases spider/database --questions spider/train_spider.json

Each question's database is joined with others, drawn by chance, to one schema of at most `tables`
tables (a database with a table of a name that is there already is passed over), in random order.
The needed tables are those that the gold SQL names.
"""

import random
from pathlib import Path
from typing import Annotated

from workflow_scripts.agents.narrow import narrow
from workflow_scripts.data.questions import read_questions
from workflow_scripts.files import to_json
from workflow_scripts.formats.schema import Schema, fold_name
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.sql.parse import Names, names_in
from workflow_scripts.stage import Option, run_stage


def join_schemas(schemas: dict[str, Schema], name: str, most: int, rng: random.Random) -> Schema:
    """Join a database's schema with those of others, up to `most` tables."""
    tables, keys = list(schemas[name].tables), list(schemas[name].foreign_keys)
    for other in rng.sample(sorted(schemas), len(schemas)):
        names = {fold_name(table.name) for table in tables}
        more = schemas[other].tables
        if names.isdisjoint(fold_name(t.name) for t in more) and len(tables) + len(more) <= most:
            tables += more
            keys += schemas[other].foreign_keys
    return Schema(rng.sample(tables, len(tables)), keys)


def narrowing_trial(
    databases: Annotated[Path, Option("<db_id>/<db_id>.sqlite")],
    questions: Annotated[Path, Option("in Spider's form")],
    keep: Annotated[list[int], Option("most tables after narrowing")] = (5, 10, 20, 30),
    tables: Annotated[int, Option("most tables before")] = 100,
    count: Annotated[int, Option("questions, drawn by chance")] = 1500,
    seed: Annotated[int, Option("decides what is drawn")] = 0,
) -> None:
    """Print the share of questions of which all needed tables stay, and the length of schemas."""
    schemas = {name: Schema(*describe_database(file)) for name, file in list_databases(databases)}
    usable = [q for q in read_questions("spider", questions) if q.db_id in schemas]
    rng = random.Random(seed)
    drawn = rng.sample(usable, min(count, len(usable)))
    joined = {
        name: join_schemas(schemas, name, tables, rng) for name in sorted({q.db_id for q in drawn})
    }
    wholly, lengths = dict.fromkeys(keep, 0), dict.fromkeys(keep, 0)
    for each in drawn:
        needed = (names_in(each.sql) or Names()).tables
        for most in keep:
            left = narrow(joined[each.db_id], each.question, most)
            wholly[most] += needed <= {fold_name(table.name) for table in left.tables}
            lengths[most] += len(left.text)
    answer = {
        "questions": len(drawn),
        "tables": sum(len(joined[each.db_id].tables) for each in drawn) / len(drawn),
        "characters": sum(len(joined[each.db_id].text) for each in drawn) / len(drawn),
        "all_needed_tables_stay": {most: wholly[most] / len(drawn) for most in keep},
        "characters_narrowed": {most: lengths[most] / len(drawn) for most in keep},
    }
    print(to_json(answer), end="")


if __name__ == "__main__":
    run_stage(narrowing_trial)
