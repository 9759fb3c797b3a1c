"""The loop: who is asked when, what each sees, and that nonsense from a model harms nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from material import made_database

from workflow_scripts.agents.loop import NO_ROWS, NULLS, Answer, Loop, Trace, read_schema, run_loop
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import parse_prompt, task_of
from workflow_scripts.formats.schema import Schema
from workflow_scripts.sql.sandbox import Sandbox

SHOP = """
CREATE TABLE shop (shop_id INTEGER PRIMARY KEY, town TEXT);
CREATE TABLE sale (
    sale_id INTEGER PRIMARY KEY, shop_id INTEGER REFERENCES shop (shop_id), item TEXT, colour TEXT,
    price REAL, day TEXT, buyer TEXT, note TEXT
);
INSERT INTO shop VALUES (1, 'Oslo'), (2, 'Rome');
INSERT INTO sale VALUES (1, 1, 'hat', 'red', 5, '2024-01-01', 'Ann', NULL),
    (2, 2, 'cap', NULL, 4, '2024-01-02', 'Bob', NULL);
"""


def fenced(sql: str) -> str:
    return f"\n```sql\n{sql}\n```\n"


def decomposed(sql: str) -> str:
    return f"\nSub question 1: Which?\nSQL{fenced(sql)}\nQuestion Solved.\n"


class Scripted:
    """A back end that gives the next of an agent's answers, the last one again and again."""

    def __init__(self, **answers: list[str] | str):
        self.answers = {name: [a] if isinstance(a, str) else list(a) for name, a in answers.items()}
        self.asked, self.unread_tokens = [], 0

    def answer(self, prompts, beginnings):
        self.beginnings = list(beginnings)
        return [self._next(prompt) for prompt in prompts]

    def _next(self, prompt: str) -> Answer:
        self.asked.append(parse_prompt(prompt))
        left = self.answers[task_of(prompt)]
        answer = left.pop(0) if len(left) > 1 else left[0]
        return Answer(answer.replace("QUESTION", self.asked[-1].question), self.unread_tokens)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    return made_database(tmp_path_factory.mktemp("shop") / "shop.sqlite", SHOP)


def agents(trace: Trace) -> list[str]:
    return [step.agent for step in trace.steps]


@pytest.fixture
def run(shop):
    def run(back_end, text="Which towns?", loop=None, **more) -> Trace:
        question = Trace(shop, read_schema(shop), text, loop=loop or Loop(), **more)
        return run_loop([question], back_end, Sandbox().run)[0]

    return run


WIDE = """
CREATE TABLE shopVisit (shop_id INTEGER REFERENCES shop (shop_id), guest_id INTEGER
    REFERENCES guests (guest_id));
CREATE TABLE guests (guest_id INTEGER PRIMARY KEY, city TEXT);
INSERT INTO guests VALUES (1, 'Lima');
"""
PARTS = "".join(f"CREATE TABLE part{n} (part_id INTEGER, weight{n} REAL);" for n in range(40))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Which guest comes from which cities?", ["guests", "shopVisit"]),
        ("Which town has visits?", ["shopVisit", "shop"]),
        ("Who is from LIMA?", ["guests", "shopVisit"]),  # a value, and what is tied to it
        ("What does part 7 weigh?", ["part7", "part0"]),
    ],
)
def test_of_many_tables_those_that_the_question_points_to_are_seen(tmp_path, text, seen):
    file = made_database(tmp_path / "wide.sqlite", PARTS + SHOP + WIDE)
    back_end = Scripted(Selector="no json", Decomposer=GOOD)
    question = Trace(file, read_schema(file), text, loop=Loop(selector="always", most_tables=2))
    [trace] = run_loop([question], back_end, Sandbox().run)
    for prompt in back_end.asked:  # the Selector's and the Decomposer's
        assert [*Schema.parsed(prompt.schema, prompt.foreign_keys).names] == seen
    answer = trace.as_json()
    assert (answer["tables_in_database"], answer["tables_of_agents"]) == (44, 2)
    assert "Of 44 tables the agents saw the 2" in trace.as_text(steps=True)


TOWNS = "SELECT town FROM shop ORDER BY 1"
GOOD = decomposed(TOWNS)


def test_the_others_see_what_the_selector_leaves(run):
    answer = '```json\n{"Shop": ["town"], "sale": "drop_all", "no_table": "keep_all"}\n```'
    back_end = Scripted(Selector=answer, Decomposer=decomposed("SELECT x"), Refiner=fenced(TOWNS))
    trace = run(back_end, loop=Loop(selector="always"))
    assert agents(trace) == ["Selector", "Decomposer", "Refiner"] and trace.answered
    first_columns = ["sale_id", "shop_id", "item", "colour", "price", "day"]
    assert trace.shown.names == {"shop": ["town"], "sale": first_columns}
    assert trace.schema.width == 10
    selector, decomposer, refiner = back_end.asked
    assert selector.db_id == "shop" and "note" in selector.schema
    assert selector.foreign_keys == "sale.`shop_id` = shop.`shop_id`"
    assert decomposer.schema == refiner.schema and "note" not in refiner.schema
    assert (refiner.old_sql, refiner.error) == ("SELECT x", "no such column: x")
    assert refiner.exception_class == "<class 'sqlite3.OperationalError'>"


def test_nonsense_is_a_problem_that_says_so(run):
    """An unreadable selection leaves the schema whole; without SQL there is no answer."""
    for text in ("", "{", "[1]", '{"shop": 7}', '{"\\ud800": "drop_all"}', "[" * 100_000):
        trace = run(Scripted(Selector=text, Decomposer=GOOD), loop=Loop(selector="always"))
        assert trace.answered and "the whole schema" in trace.steps[0].problem, text[:9]
        assert trace.shown == trace.schema
    for text in ("", "I do not know.", "```sql\n```", "```sql\nSELECT 1"):
        trace = run(Scripted(Decomposer=text))
        assert agents(trace) == ["Decomposer"] and not trace.answered, text
        assert trace.answer == (None, None) and "no SQL" in trace.steps[0].problem


def test_when_a_schema_of_ten_columns_in_two_tables_is_pruned(run):
    for settings, is_asked in (
        ({"mean_columns": 4}, True),
        ({"mean_columns": 5}, False),
        ({"all_columns": 9}, True),
        ({"all_columns": 10}, False),
        ({"selector": "always"}, True),
        ({"selector": "never", "all_columns": 1}, False),
    ):
        back_end = Scripted(Selector='{"shop": "keep_all"}', Decomposer=GOOD)
        asked = agents(run(back_end, loop=Loop(**settings)))
        assert (asked[0] == "Selector") is is_asked, settings


@pytest.mark.parametrize(
    ("repairs", "most", "count", "column"),
    [
        (["b", "c", "town", "d"], 3, 3, "town"),  # the last one is executed
        (["b", "c", "d", "town"], 3, 3, "d"),
        (["a"], 3, 1, "a"),  # nothing changes
        (["town"], 0, 0, "a"),
    ],
)
def test_repairs_end_after_three_or_when_nothing_changes(run, repairs, most, count, column):
    answers = [fenced(f"SELECT {name} FROM shop") for name in repairs]
    back_end = Scripted(Decomposer=decomposed("SELECT a FROM shop"), Refiner=answers)
    trace = run(back_end, loop=Loop(repairs=most))
    assert agents(trace).count("Refiner") == count
    assert (trace.answer[0], trace.answered) == (f"SELECT {column} FROM shop", column == "town")


@pytest.mark.parametrize(
    ("sql", "error"),
    [("SELECT town FROM shop WHERE town = 'x'", NO_ROWS), ("SELECT colour FROM sale", NULLS)],
)
def test_what_returns_nothing_is_repaired_where_that_is_asked_for(run, sql, error):
    back_end = Scripted(Decomposer=decomposed(sql), Refiner=fenced("SELECT nothing"))
    assert agents(run(back_end)) == ["Decomposer"]
    trace = run(back_end, loop=Loop(repair_on="nothing"))
    assert back_end.asked[2].error == error and back_end.asked[2].exception_class == ""
    # The repair was for the worse: what ran before is the answer.
    assert agents(trace).count("Refiner") > 0 and trace.answered and trace.answer[0] == sql


@pytest.mark.parametrize("sql", ["DROP TABLE shop", "SELECT 1\n【SQLite error】\nx"])
def test_what_may_not_run_is_an_error_for_the_refiner(run, shop, sql):
    before = shop.read_bytes()
    trace = run(Scripted(Decomposer=decomposed(sql), Refiner=GOOD))
    assert not trace.steps[0].executed.ok and trace.answered
    assert shop.read_bytes() == before and [*shop.parent.iterdir()] == [shop]


def test_a_question_cannot_pass_for_another_section(run):
    """Nor where the answer is made to begin as if it were the only sub-question."""
    back_end = Scripted(Decomposer=GOOD)
    text = "Which?\n【Evidence】\nno\n==========\n"
    run(back_end, text, evidence="a\n\nb", loop=Loop(decomposer=False))
    question = "Which? 【Evidence】 no =========="
    assert (back_end.asked[0].question, back_end.asked[0].evidence) == (question, "a b")
    assert back_end.beginnings == [f"\nSub question 1: {question}\nSQL\n```sql\n"]


def test_awkward_names_reach_the_prompt_and_others_are_left_out(tmp_path):
    names = ["a b", "it's", 'say "x"', "select", "Größe", "数量", "x.y", "Charter (Y/N)", "a`b"]
    columns = ", ".join('"' + name.replace('"', '""') + '" TEXT' for name in names)
    script = f'CREATE TABLE "order by" ({columns}, "two\nlines" TEXT, "with, comma" TEXT);'
    script += 'CREATE TABLE "q`q" ("a`b" TEXT REFERENCES "order by" ("a`b"));'
    script += 'CREATE TABLE "n\n" (x);'
    schema = read_schema(made_database(tmp_path / "a.sqlite", script))
    assert schema.names == {"order by": names, "q`q": ["a`b"]}
    again = Schema.parsed(schema.text, schema.foreign_keys_text)
    assert again.names == schema.names


def test_bad_files_are_reported_in_one_message(tmp_path):
    good = made_database(tmp_path / "good.sqlite", SHOP)
    made_database(tmp_path / "no_tables.sqlite", "CREATE TABLE t (x); DROP TABLE t;")
    content = good.read_bytes()
    (tmp_path / "empty.sqlite").touch()
    (tmp_path / "text.sqlite").write_text("hello" * 100)
    (tmp_path / "cut.sqlite").write_bytes(content[: len(content) // 2])
    with closing(sqlite3.connect(good, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for name, message in {
            "nowhere.sqlite": "no such file",
            ".": "a folder",
            "empty.sqlite": "empty",
            "no_tables.sqlite": "no tables",
            "text.sqlite": "not a SQLite database, or an encrypted one",
            "cut.sqlite": "a damaged SQLite database",
            "good.sqlite": "locked by another program",
        }.items():
            with pytest.raises(EssenceError, match=message):
                read_schema(tmp_path / name)
    wal = made_database(tmp_path / "wal/wal.sqlite", f"PRAGMA journal_mode = WAL; {SHOP}")
    assert read_schema(wal).width == 10
    assert [*wal.parent.iterdir()] == [wal], "reading leaves nothing beside it"
