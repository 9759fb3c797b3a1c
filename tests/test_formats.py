"""Prompts, schemas and answers: told apart, read, written, made compact."""

import time
from dataclasses import replace

import pytest
from material import SQL_EXAMPLES, made_database
from sample_rows import KEYS, SCHEMA, SQL, prompt

from workflow_scripts.formats import answers, prompts, schema
from workflow_scripts.formats.answers import extract_sql, parse_decomposer, parse_selector
from workflow_scripts.formats.prompts import TASKS, compact_schema, parse_prompt, render_prompt
from workflow_scripts.formats.schema import Column, parse_schema, render_schema
from workflow_scripts.sql.describe import describe_database

each_task = pytest.mark.parametrize("task", TASKS)


@each_task
def test_what_is_rendered_is_parsed_again(task):
    for made in (prompt(task), prompt(task, evidence="", foreign_keys="")):
        made = replace(made, exception_class="") if task == "Refiner" else made
        user = render_prompt(made)
        assert prompts.task_of(user) == task
        for text in (user, prompts.to_source(user), prompts.to_source(user, system="Be brief.")):
            assert parse_prompt(text) == made


@pytest.mark.parametrize("name", ["", "<class 'sqlite3.OperationalError'>", "TimeoutError"])
def test_the_exception_class_is_one_line_whatever_closes_the_prompt(name):
    made = prompt("Refiner", exception_class=name)
    user = render_prompt(made).replace(prompts.CLOSING["Refiner"], "Now write it again.")
    assert parse_prompt(user) == parse_prompt(user.replace("【correct SQL】\n", "")) == made


@each_task
def test_a_missing_section_is_not_taken_from_the_examples(task):
    user = render_prompt(prompt(task))
    before, _, after = user.rpartition("【Evidence】\n")
    assert parse_prompt(before + after.split("\n", 1)[1]) == prompt(task, evidence="")
    mark = "【Query】" if task == "Refiner" else "【Question】"
    before, _, after = user.rpartition(mark)
    with pytest.raises(prompts.PromptError, match=mark):
        parse_prompt(before + after)
    with pytest.raises(prompts.PromptError, match="order"):
        parse_prompt(f"{before}{after}\n{mark}\nWho?")


@each_task
def test_the_compact_prompt_starts_with_the_question_and_ends_with_the_schema(task):
    made = prompt(task)
    text = prompts.compact_prompt(made)
    assert text == "".join(prompts.compact_parts(made).values())
    parts = [f"{task}: {made.question} | evidence: {made.evidence}", compact_schema(made.schema)]
    if task == "Refiner":
        parts[1:1] = [f"{made.error} (OperationalError)", made.old_sql]
    places = [text.index(part) for part in (*parts, "pot.kiln_no = kiln.kiln_no")]
    assert places == sorted(places) and places[0] == 0


def test_real_rows_are_parsed_and_their_own_part_and_answer_rendered_to_the_letter(real_rows):
    for row in real_rows.records:
        _, user, answer = (message["content"] for message in row["messages"])
        made = parse_prompt(user)
        assert made == parse_prompt(row["source"]) and prompts.to_source(user) == row["source"]
        names = [table.name for table in parse_schema(made.schema)]
        assert len(names) == made.schema.count("# Table: ") > 1
        assert render_prompt(made).endswith(user[prompts.sections(user)["own"][0] :])
        if made.task == "Selector":
            selection = parse_selector(answer)
            assert "drop_all" in selection.values()
            assert answers.render_selector(selection).strip() in answer
        else:
            pairs = parse_decomposer(answer)
            assert pairs[-1][1] == extract_sql(answer)
            assert answers.render_decomposer(pairs).split() == answer.split()


def test_a_schema_in_all_its_forms():
    """Its parts, written as it was read, and compact."""
    kiln, pot = parse_schema(SCHEMA)
    assert kiln.columns[:2] == (
        Column("kiln_no", "kiln no"),
        Column("Heat (C/h)", "rise of heat", (None, 60, 90.5), "a slow rise (60) is safe"),
    )
    assert kiln.columns[2].examples == ("O'Neill", "Brand, Sons].", "12", "None")
    assert pot.columns[0] == Column("pot_no", "number of the pot", None, "it stands on the foot")
    text = "# Table: t\n[\n  (a, first\nsecond. Value examples: [1].),\n  (b, b.)\n]"
    (table,) = parse_schema(text)
    assert table.columns[0] == Column("a", "first\nsecond", (1,))
    assert (render_schema([kiln, pot]), render_schema([table])) == (SCHEMA, text)
    assert compact_schema(SCHEMA) == (
        "kiln: kiln_no, `Heat (C/h)` - rise of heat (None, 60, 90.5)"
        " - a slow rise (60) is safe, "
        "maker (\"O'Neill\", 'Brand, Sons].', '12', 'None'), built (2019-03-01)"
        " | pot: pot_no - number of the pot - it stands on the foot, kiln_no"
    )


def test_keys_are_written_as_they_were_read_and_compact():
    assert schema.render_foreign_keys(schema.parse_foreign_keys(KEYS)) == KEYS
    keys = [("order lines", "Heat (C/h)", "a.b", "no. of x")]
    assert schema.parse_foreign_keys(schema.render_foreign_keys(keys)) == keys
    compact = prompts.compact_foreign_keys(schema.render_foreign_keys(keys))
    assert compact == "`order lines`.`Heat (C/h)` = `a.b`.`no. of x`"


def test_value_examples_follow_the_rules_and_nothing_is_written(tmp_path):
    path = made_database(
        tmp_path / "odd name?.sqlite",
        """
        CREATE TABLE Kiln (no INTEGER PRIMARY KEY, "Heat (C/h)" REAL, maker TEXT, built DATE,
            mail TEXT, site TEXT, story TEXT, Contact_Email TEXT, glazes INTEGER, empty TEXT);
        CREATE TABLE pot (a INTEGER, b INTEGER, kiln INTEGER REFERENCES kiln,
            PRIMARY KEY (a, b));
        WITH RECURSIVE count(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM count WHERE n < 11)
        INSERT INTO Kiln SELECT n, n / 2.0, nullif(substr('abcdefgh', n % 8 + 1, n > 0), ''),
            date('2020-01-01', n || ' days'), 'x@y.org', 'https://x.org',
            replace(hex(zeroblob(11)), '00', 'long '), 'none', n % 3, NULL FROM count;
        """,
    )
    before = path.read_bytes()
    (kiln, pot), keys = describe_database(path, {}, [("POT", "A", "kiln", "no"), ("x",) * 4])
    assert {column.name: column.examples for column in kiln.columns} == {
        "no": None,  # a key
        "Heat (C/h)": None,  # more than 10 numbers
        "maker": (None, "b", "c", "d", "a", "e", "f"),  # by frequency, then value
        "built": ("2020-01-01",),  # one date
        **dict.fromkeys(["mail", "site", "story", "empty"]),
        "Contact_Email": None,  # by its name
        "glazes": (0, 1, 2),
    }
    assert kiln.columns[7].description == "contact email"
    primary, undeclared = ("pot", "kiln", "Kiln", "no"), ("pot", "a", "Kiln", "no")
    assert keys == [primary, undeclared], "the primary key that is meant, and what exists"
    assert [column.examples for column in pot.columns] == [None] * 3
    assert parse_schema(render_schema([kiln, pot])) == [kiln, pot]
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("seconds", "examples"), [(60, ("a",)), (0, None)])
def test_the_time_to_look_for_examples_is_limited(tmp_path, seconds, examples):
    rows = "INSERT INTO t VALUES " + ", ".join(["('a')"] * 5000)
    path = made_database(tmp_path / "long.sqlite", f"CREATE TABLE t (x TEXT); {rows};")
    ((table,), _) = describe_database(path, seconds=seconds)
    assert table.columns[0].examples == examples


SELECTION = {"a b": "keep_all", "c": "drop_all", 'd"': ["x", "é (y/n)"]}
PAIRS = [("What is x?", "SELECT 1"), ("And SQL, then?", SQL)]
DECOMPOSED = answers.render_decomposer(PAIRS)


def test_answers_are_parsed_as_they_were_rendered_and_with_words_around():
    text = answers.render_selector(SELECTION)
    assert parse_selector(text) == parse_selector(text + "Question Solved.\n") == SELECTION
    assert parse_selector('{"t": []} Question Solved.') == {"t": []}
    assert parse_decomposer(DECOMPOSED) == PAIRS
    assert extract_sql(DECOMPOSED) == extract_sql(DECOMPOSED, lenient=True) == SQL
    assert extract_sql(answers.render_refiner(SQL)) == SQL


@pytest.mark.parametrize("example", SQL_EXAMPLES["answers"])
def test_sql_of_an_answer(example):
    assert extract_sql(example["answer"]) == example["strict"]
    assert extract_sql(example["answer"], lenient=True) == example["lenient"]


def test_plain_sql_counts_where_gold_is_plain():
    asked, fenced = answers.sql_as_asked, answers.render_refiner(SQL)
    assert asked(f"{SQL};", "SELECT 2") == asked(fenced, fenced) == SQL
    assert asked(SQL, fenced) is None and asked(fenced, SQL) is None
    assert answers.plain_sql("Select nothing, I can't.")
    assert answers.plain_sql("With pleasure!") is None


def test_a_hostile_answer_takes_no_time():
    for text in ("/*" * 20_000, "/**/" * 20_000, "sql " * 20_000, "\n" * 5_000, "`" * 20_000):
        started = time.perf_counter()
        extract_sql(text, lenient=True)
        assert time.perf_counter() - started < 2, text[:8]


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_selector, "", "no JSON"),
        (parse_selector, '```json\n{"t": "keep_all",}\n```', "no JSON"),
        (parse_selector, '```json\n["t"]\n```', "not a JSON object"),
        (parse_selector, "```json\n{}\n```", "not a JSON object"),
        (parse_selector, '{"t": "keep"}', "'t'"),
        (parse_selector, '{"t": [1]}', "'t'"),
        (parse_decomposer, "```sql\nSELECT 1\n```", "Sub question"),
        (parse_decomposer, DECOMPOSED + "Sub question 3: and?", "last sub question"),
    ],
)
def test_broken_answers(parse, text, said):
    with pytest.raises(answers.AnswerError, match=said):
        parse(text)


def test_sub_questions_keep_their_words():
    for text in ("Sub-question 1: Which?\nSQL\n```sql\nSELECT 1\n```",
                 "Sub question 1: Which? SQL: ```sql SELECT 1 ```"):  # fmt: skip
        assert parse_decomposer(text) == [("Which?", "SELECT 1")]
    text = "Sub question 1: why?\nSub question 2: Which teach SQL\n```sql\nSELECT 1\n```"
    assert parse_decomposer(text) == [("why?", ""), ("Which teach SQL", "SELECT 1")]
