"""Prompts, schemas and answers: told apart, read, written, made compact."""

import sqlite3
import time
from dataclasses import replace

import pytest
from material import SQL_EXAMPLES
from sample_rows import KEYS, SCHEMA, SQL, prompt
from tokenizers import Tokenizer

from workflow_scripts.formats.answers import (
    AnswerError,
    extract_sql,
    parse_decomposer,
    parse_selector,
    plain_sql,
    render_decomposer,
    render_refiner,
    render_selector,
    sql_as_asked,
)
from workflow_scripts.formats.prompts import (
    CLOSING,
    CONSTANT,
    TASKS,
    PromptError,
    compact_foreign_keys,
    compact_parts,
    compact_prompt,
    compact_schema,
    parse_prompt,
    render_prompt,
    sections,
    task_of,
    to_source,
)
from workflow_scripts.formats.schema import (
    Column,
    SchemaError,
    parse_foreign_keys,
    parse_schema,
    render_foreign_keys,
    render_schema,
)
from workflow_scripts.sql.describe import describe_database

each_task = pytest.mark.parametrize("task", TASKS)


@each_task
def test_what_is_rendered_is_parsed_again(task):
    for made in (prompt(task), prompt(task, evidence="", foreign_keys="")):
        made = replace(made, exception_class="") if task == "Refiner" else made
        user = render_prompt(made)
        assert task_of(user) == task
        for text in (user, to_source(user), to_source(user, system="Be brief.")):
            assert parse_prompt(text) == made


@pytest.mark.parametrize("name", ["", "<class 'sqlite3.OperationalError'>", "TimeoutError"])
def test_the_exception_class_is_one_line_whatever_closes_the_prompt(name):
    made = prompt("Refiner", exception_class=name)
    user = render_prompt(made).replace(CLOSING["Refiner"], "Now write it again.")
    assert parse_prompt(user) == made
    assert parse_prompt(user.replace("【correct SQL】\n", "")) == made


@each_task
def test_a_missing_section_is_not_taken_from_the_examples(task):
    user = render_prompt(prompt(task))
    before, _, after = user.rpartition("【Evidence】\n")
    assert parse_prompt(before + after.split("\n", 1)[1]) == prompt(task, evidence="")
    mark = "【Query】" if task == "Refiner" else "【Question】"
    before, _, after = user.rpartition(mark)
    with pytest.raises(PromptError, match=mark):
        parse_prompt(before + after)


def test_sections_out_of_order_are_an_error():
    user = render_prompt(prompt("Selector"))
    head, _, own = user.rpartition("【DB_ID】")
    with pytest.raises(PromptError, match="order"):
        parse_prompt(head + "【Question】\nWho?\n【DB_ID】" + own.replace("【Question】", "", 1))


@each_task
def test_the_compact_prompt_starts_with_the_question_and_ends_with_the_schema(task):
    made = prompt(task)
    text = compact_prompt(made)
    assert text.startswith(f"{task}: {made.question} | evidence: {made.evidence}")
    assert compact_schema(made.schema) in text and "".join(compact_parts(made).values()) == text
    assert "kiln.kiln_no" in text and "pot.kiln_no" in text
    if task == "Refiner":
        places = [text.index(part) for part in (made.question, made.error, made.old_sql, "tables:")]
        assert places == sorted(places) and "(OperationalError)" in text


def test_real_rows_are_parsed_and_their_own_part_rendered_to_the_letter(real_rows):
    for row in real_rows.records:
        user = row["messages"][1]["content"]
        made = parse_prompt(user)
        assert made == parse_prompt(row["source"]) and to_source(user) == row["source"]
        assert made.task == ("Decomposer" if row["idx"] % 2 else "Selector")
        names = [table.name for table in parse_schema(made.schema)]
        assert len(names) == made.schema.count("# Table: ") > 1
        assert render_prompt(made).endswith(user[sections(user)["own"][0] :])


def test_the_constant_parts_are_as_long_as_the_originals(real_rows):
    tokenizer = Tokenizer.from_file(str(real_rows.tokenizer / "tokenizer.json"))
    lengths = {task: len(tokenizer.encode(CONSTANT[task]).ids) for task in TASKS}
    assert lengths["Selector"] > 1100 and lengths["Decomposer"] > 1900
    assert 270 < lengths["Refiner"] < 340


def test_the_parts_of_column_lines():
    kiln, pot = parse_schema(SCHEMA)
    assert kiln.columns[0] == Column("kiln_no", "kiln no", None, "")
    assert kiln.columns[1] == Column(
        "Heat (C/h)", "rise of heat", (None, 60, 90.5), "a slow rise (60) is safe"
    )
    assert kiln.columns[2].examples == ("O'Neill", "Brand, Sons].", "12", "None")
    assert pot.columns[0] == Column("pot_no", "number of the pot", None, "it stands on the foot")


def test_schema_and_keys_are_written_as_they_were_read():
    assert render_schema(parse_schema(SCHEMA)) == SCHEMA
    assert parse_foreign_keys(KEYS) == [("pot", "kiln_no", "kiln", "kiln_no")]
    assert render_foreign_keys(parse_foreign_keys(KEYS)) == KEYS
    keys = [("order lines", "Heat (C/h)", "a.b", "no. of x")]
    text = render_foreign_keys(keys)
    assert parse_foreign_keys(text) == keys
    assert compact_foreign_keys(text) == "`order lines`.`Heat (C/h)` = `a.b`.`no. of x`"
    text = "# Table: t\n[\n  (a, first\nsecond. Value examples: [1].),\n  (b, b.)\n]"
    (table,) = parse_schema(text)
    assert table.columns[0] == Column("a", "first\nsecond", (1,))
    assert render_schema([table]) == text


@pytest.mark.parametrize("text", ["", "hello", "[\n  (a, b.)\n]"])
def test_what_is_no_schema_or_key_is_an_error(text):
    with pytest.raises(SchemaError, match="schema"):
        parse_schema(text)
    with pytest.raises(SchemaError, match="pot -> kiln"):
        parse_foreign_keys("pot -> kiln")


def test_the_compact_schema():
    assert compact_schema(SCHEMA) == (
        "kiln: kiln_no, `Heat (C/h)` - rise of heat (None, 60, 90.5)"
        " - a slow rise (60) is safe, "
        "maker (\"O'Neill\", 'Brand, Sons].', '12', 'None'), built (2019-03-01)"
        " | pot: pot_no - number of the pot - it stands on the foot, kiln_no"
    )


def test_value_examples_follow_the_rules_and_nothing_is_written(tmp_path):
    path = tmp_path / "odd name?.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE Kiln (no INTEGER PRIMARY KEY, "Heat (C/h)" REAL, maker TEXT, built DATE,
                mail TEXT, site TEXT, story TEXT, Contact_Email TEXT, glazes INTEGER, empty TEXT);
            CREATE TABLE pot (a INTEGER, b INTEGER, kiln INTEGER REFERENCES kiln,
                PRIMARY KEY (a, b));
            """
        )
        for n in range(12):
            db.execute(
                "INSERT INTO Kiln VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (n, n / 2, None if n == 0 else "abcdefgh"[n % 8], f"2020-01-{n + 1:02}",
                 "x@y.org", "https://x.org", "long " * 11, "none", n % 3),
            )  # fmt: skip
    before = path.read_bytes()
    words = {("kiln", "maker"): ("who made it", "a name")}
    (kiln, pot), keys = describe_database(path, words, [("POT", "A", "kiln", "no"), ("x",) * 4])
    examples = {column.name: column.examples for column in kiln.columns}
    assert examples["no"] is None, "a key"
    assert examples["Heat (C/h)"] is None, "more than 10 numbers"
    assert examples["maker"] == (None, "b", "c", "d", "a", "e", "f"), "by frequency, then value"
    assert examples["built"] == ("2020-01-01",), "one date"
    assert examples["mail"] is examples["site"] is examples["story"] is None
    assert examples["Contact_Email"] is None, "by its name"
    assert examples["glazes"] == (0, 1, 2)
    assert examples["empty"] is None
    assert kiln.columns[2].description == "who made it" and kiln.columns[2].note == "a name"
    assert kiln.columns[7].description == "contact email"
    primary, undeclared = ("pot", "kiln", "Kiln", "no"), ("pot", "a", "Kiln", "no")
    assert keys == [primary, undeclared], "the primary key that is meant, and what exists"
    assert [column.examples for column in pot.columns] == [None] * 3
    assert parse_schema(render_schema([kiln, pot])) == [kiln, pot]
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("seconds", "examples"), [(60, ("a",)), (0, None)])
def test_the_time_to_look_for_examples_is_limited(tmp_path, seconds, examples):
    path = tmp_path / "long.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x TEXT)")
        db.executemany("INSERT INTO t VALUES (?)", [("a",)] * 5000)
    ((table,), _) = describe_database(path, seconds=seconds)
    assert table.columns[0].examples == examples


SELECTION = {"a b": "keep_all", "c": "drop_all", 'd"': ["x", "é (y/n)"]}
PAIRS = [("What is x?", "SELECT 1"), ("And SQL, then?", SQL)]


def test_answers_are_parsed_as_they_were_rendered_and_with_words_around():
    text = render_selector(SELECTION)
    assert parse_selector(text) == parse_selector(text + "Question Solved.\n") == SELECTION
    assert parse_selector('{"t": []} Question Solved.') == {"t": []}
    answer = render_decomposer(PAIRS)
    assert parse_decomposer(answer) == PAIRS
    assert extract_sql(answer) == extract_sql(answer, lenient=True) == SQL
    assert extract_sql(render_refiner(SQL)) == SQL


@pytest.mark.parametrize("example", SQL_EXAMPLES["answers"])
def test_sql_of_an_answer(example):
    assert extract_sql(example["answer"]) == example["strict"]
    assert extract_sql(example["answer"], lenient=True) == example["lenient"]


def test_plain_sql_counts_where_gold_is_plain():
    fenced = render_refiner(SQL)
    assert sql_as_asked(f"{SQL};", "SELECT 2") == SQL and sql_as_asked(fenced, fenced) == SQL
    assert sql_as_asked(SQL, fenced) is None and sql_as_asked(fenced, SQL) is None
    assert plain_sql("Select nothing, I can't.") and plain_sql("With pleasure!") is None


def test_a_hostile_answer_takes_no_time():
    for text in ("/*" * 20_000, "/**/" * 20_000, "sql " * 20_000, "\n" * 5_000, "`" * 20_000):
        started = time.perf_counter()
        extract_sql(text, lenient=True)
        assert time.perf_counter() - started < 2, text[:8]


def test_broken_selector_answers():
    for text, message in (
        ("", "no JSON"),
        ('```json\n{"t": "keep_all",}\n```', "no JSON"),
        ('```json\n["t"]\n```', "not a JSON object"),
        ("```json\n{}\n```", "not a JSON object"),
        ('{"t": "keep"}', "'t'"),
        ('{"t": [1]}', "'t'"),
    ):
        with pytest.raises(AnswerError, match=message):
            parse_selector(text)


def test_sub_questions_keep_their_words_and_need_sql():
    for text, words in (
        ("```sql\nSELECT 1\n```", "Sub question"),
        (render_decomposer(PAIRS) + "Sub question 3: and?", "last sub question"),
    ):
        with pytest.raises(AnswerError, match=words):
            parse_decomposer(text)
    for text in ("Sub-question 1: Which?\nSQL\n```sql\nSELECT 1\n```",
                 "Sub question 1: Which? SQL: ```sql SELECT 1 ```"):  # fmt: skip
        assert parse_decomposer(text) == [("Which?", "SELECT 1")]
    text = "Sub question 1: why?\nSub question 2: Which teach SQL\n```sql\nSELECT 1\n```"
    assert parse_decomposer(text) == [("why?", ""), ("Which teach SQL", "SELECT 1")]


def test_real_answers(real_rows):
    for text in real_rows.answers:
        if "```json" in text:
            selection = parse_selector(text)
            assert "drop_all" in selection.values()
            assert render_selector(selection).strip() in text
        else:
            pairs = parse_decomposer(text)
            assert pairs[-1][1] == extract_sql(text)
            assert render_decomposer(pairs).split() == text.split()
