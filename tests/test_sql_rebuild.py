"""Databases rebuilt from prompts: what they hold, and how far EX-synthetic agrees with EX."""

import random
import sqlite3
from pathlib import Path

import pytest

from tools.synthetic_trial import read_questions, trial
from workflow_scripts.formats.schema import SchemaError
from workflow_scripts.metrics.synthetic import SyntheticCase, ex_synthetic, returns_something
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.hints import hints_of
from workflow_scripts.sql.rebuild import SIZES, blueprint_of, build, build_all
from workflow_scripts.sql.sandbox import Limits, Sandbox

SCHEMA = """# Table: item
[
  (id, id.),
  (Full Name (x), name. Value examples: ['pen', 'ink'].),
  (price, price. Value examples: [1.5, 4.0, None].),
  (made, made on. Value examples: ['2020-02-03'].),
  (maker, maker.)
]
# Table: sale
[
  (sale_id, sale id.),
  (item_id, item id.),
  (amount, amount.)
]"""
KEYS = "sale.`item_id` = item.`id`"
GOLD = (
    "SELECT T1.`Full Name (x)`, T2.sale_id FROM item AS T1 JOIN sale AS T2 ON T1.id = T2.item_id "
    "WHERE T1.maker = 'Zweig & Co' AND T2.amount > 77 AND strftime('%Y', T1.made) = '2013'"
)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(seconds=5), workers=2) as sandbox:
        yield CachedSandbox(sandbox)


def rows_of(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_hints_of_a_query():
    hints = hints_of(
        "SELECT avg(T1.price) FROM item T1 JOIN sale T2 ON T1.id = T2.item_id WHERE T1.maker "
        "LIKE '%x%' AND T2.amount BETWEEN -3 AND 5.5 AND T1.id IN (SELECT item_id FROM sale "
        'WHERE day = "x")'
    )
    assert hints.values.keys() == {("sale", "amount"), (None, "day")}
    assert sorted(hints.values["sale", "amount"]) == [-3, 5.5]
    assert hints.patterns == {("item", "maker"): ["%x%"]}
    assert hints.joined == [(("item", "id"), ("sale", "item_id"))]
    assert hints.numeric == {("item", "price")}
    assert hints_of("not SQL").values == {}


def test_the_instances_hold_what_the_prompt_shows_and_the_gold_asks_for(tmp_path):
    paths = build_all(SCHEMA, KEYS, GOLD, tmp_path)
    assert len(paths) == len(SIZES)
    big = paths[-1]
    assert {x for (x,) in rows_of(big, 'SELECT "Full Name (x)" FROM item')} == {"pen", "ink"}
    assert {x for (x,) in rows_of(big, "SELECT DISTINCT price FROM item")} == {1.5, 4.0, None}
    ids = [x for (x,) in rows_of(big, "SELECT id FROM item")]
    assert len(set(ids)) == len(ids)
    assert {x for (x,) in rows_of(big, "SELECT item_id FROM sale")} <= set(ids)
    assert ("Zweig & Co",) in rows_of(big, "SELECT maker FROM item")
    assert rows_of(big, "SELECT count(*) FROM sale WHERE amount > 77")[0][0] > 0
    assert returns_something([rows_of(path, GOLD) for path in paths])


def test_equal_arguments_give_equal_databases_and_other_seeds_others(tmp_path):
    made = blueprint_of(SCHEMA, KEYS, GOLD)
    one, same = (build(made, tmp_path / name, 2) for name in ("a.sqlite", "b.sqlite"))
    other = build(made, tmp_path / "c.sqlite", 2, seed=1)
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    "schema, keys, words",
    [
        ("no schema", "", "schema"),
        (SCHEMA, "sale to item", "foreign keys"),
        (SCHEMA + "\n" + SCHEMA, "", "twice"),
        ("# Table: t\n[\n  (a, a.),\n  (A, a.)\n]", "", "twice"),
    ],
)
def test_prompts_that_make_no_database(tmp_path, schema, keys, words):
    with pytest.raises(SchemaError, match=words):
        build_all(schema, keys, GOLD, tmp_path)


def test_keys_in_a_circle_are_built_all_the_same(tmp_path):
    schema = "# Table: a\n[\n  (id, id.),\n  (b_id, b id.)\n]\n# Table: b\n[\n  (id, id.)\n]"
    keys = "a.`b_id` = b.`id`\nb.`id` = a.`b_id`\na.`id` = a.`id`"
    paths = build_all(schema, keys, "SELECT 1", tmp_path)
    joined = "SELECT count(*) FROM a JOIN b ON a.b_id = b.id"
    assert all(rows_of(path, joined)[0][0] > 0 for path in paths)


def test_ex_synthetic_by_hand(sandbox, tmp_path):
    def case(prediction, gold=GOLD, schema=SCHEMA):
        return SyntheticCase(schema, KEYS, gold, prediction)

    cases = [
        case(GOLD),
        case(GOLD.replace("T1", "x").replace("T2", "y")),
        case(GOLD.replace("> 77", ">= 77")),  # only a planted neighbour tells them apart
        case(GOLD.replace("'2013'", "'2014'")),
        case("SELECT ghost FROM item"),
        case(None),
        case(GOLD, "SELECT ghost FROM item"),  # gold fails: not counted
        case(GOLD, "SELECT id FROM item WHERE 1 = 0"),  # gold is always empty: not counted
        case(GOLD, GOLD, "no schema"),
    ]
    values = ex_synthetic(cases, sandbox, tmp_path)
    assert values == [1, 1, 0, 0, 0, 0, None, None, None]
    assert ex_synthetic(cases, sandbox, tmp_path) == values  # from the same files


def agreement(rows, databases) -> dict:
    found = trial(random.Random(1).sample(rows, 80), databases, seed=1)
    assert found["not_counted"] <= 0.1 * found["rows"]
    assert found["changed"]["compared"] >= 50
    return found


def test_agreement_with_ex_on_real_databases(real_databases):
    found = agreement(read_questions(real_databases.questions), real_databases.folder)
    assert found["all"]["agreement"] >= 0.93


def test_agreement_with_ex_on_the_twin(twin):
    found = agreement(read_questions(twin / "truth.jsonl"), twin / "databases")
    assert found["all"]["agreement"] >= 0.95
