"""The three kinds of answer."""

import time

import pytest
from material import SQL_EXAMPLES
from sample_rows import SQL

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
