"""The three kinds of answer."""

import pytest
from sample_rows import SQL

from workflow_scripts.formats.answers import (
    AnswerError,
    extract_sql,
    parse_decomposer,
    parse_selector,
    render_decomposer,
    render_refiner,
    render_selector,
)

SELECTION = {"a b": "keep_all", "c": "drop_all", 'd"': ["x", "é (y/n)"]}
PAIRS = [("What is x?", "SELECT 1"), ("And SQL, then?", SQL)]


def test_answers_are_parsed_as_they_were_rendered():
    assert parse_selector(render_selector(SELECTION)) == SELECTION
    assert parse_decomposer(render_decomposer(PAIRS)) == PAIRS
    assert extract_sql(render_refiner(SQL)) == SQL


@pytest.mark.parametrize(
    "answer, strict, lenient",
    [
        (render_decomposer(PAIRS), SQL, SQL),
        ("First ```sql\nSELECT 0\n``` no: ```sql SELECT 2 ```", "SELECT 2", "SELECT 2"),
        ("```SQLite\nSELECT `a b` FROM t;\n```\nDone.", "SELECT `a b` FROM t;", None),
        ("```sql\nSELECT 1; SELECT 2;\n```", "SELECT 1; SELECT 2;", None),
        ("```sql\nSELECT 1", None, "SELECT 1"),  # cut short
        ("```sql\nSELECT 1\n```\n```sql\nSELECT", "SELECT 1", "SELECT"),
        ("```sql\nSELECT 1\n```\n```", "SELECT 1", "SELECT 1"),
        ("```sql\nSELECT 1\n```\n```sql\n```", None, "SELECT 1"),
        ("-- one\nSELECT 1 ;\n", None, "-- one\nSELECT 1 ;"),
        ("sql SELECT 1", None, "sql SELECT 1"),
        ("```sql\n```", None, None),
        ("```", None, None),
        (" \n", None, None),
    ],
)
def test_sql_of_an_answer(answer, strict, lenient):
    assert extract_sql(answer) == strict
    assert extract_sql(answer, lenient=True) == (lenient or strict)


def test_a_bare_object_and_words_around_a_fence_are_fine():
    assert parse_selector('{"t": []} Question Solved.') == {"t": []}
    assert parse_selector(render_selector(SELECTION) + "Question Solved.\n") == SELECTION


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no JSON"),
        ('```json\n{"t": "keep_all",}\n```', "no JSON"),
        ('```json\n["t"]\n```', "not a JSON object"),
        ("```json\n{}\n```", "not a JSON object"),
        ('{"t": "keep"}', "'t'"),
        ('{"t": [1]}', "'t'"),
    ],
)
def test_broken_selector_answers(text, said):
    with pytest.raises(AnswerError, match=said):
        parse_selector(text)


def test_broken_sql_answers():
    with pytest.raises(AnswerError, match="Sub question"):
        parse_decomposer("```sql\nSELECT 1\n```")
    with pytest.raises(AnswerError, match="last sub question"):
        parse_decomposer(render_decomposer(PAIRS) + "Sub question 3: and?")


def test_a_sub_question_without_sql_of_its_own_is_kept():
    text = "Sub question 1: why?\n" + render_decomposer(PAIRS).replace("n 1", "n 2")
    assert parse_decomposer(text)[0] == ("why?", "")


def test_real_answers(real_rows):
    for text, truth in zip(real_rows.answers, real_rows.truth, strict=True):
        if truth["idx"] % 2:
            pairs = parse_decomposer(text)
            assert pairs[-1][1] == extract_sql(text)
            assert "Question Solved" not in render_decomposer(pairs).split("```")[-2]
            assert render_decomposer(pairs).split() == text.split()
        else:
            selection = parse_selector(text)
            assert "drop_all" in selection.values()
            assert render_selector(selection).strip() in text
