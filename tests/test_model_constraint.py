"""Constrained answers: whatever the weights, JSON and SQL have no name but the schema's."""

import random
import re

import pytest
import torch
from material import ROOT
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.data.rows import row_from
from workflow_scripts.formats.answer_forms import (
    FUNCTIONS,
    KEYWORDS,
    SelectorForm,
    SqlForm,
)
from workflow_scripts.formats.answers import extract_sql, parse_selector
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Column, Table, parse_schema, render_schema
from workflow_scripts.model.constraint import Constraint, Constraints, Vocabulary
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.settings import Recipe
from workflow_scripts.tables import Row
from workflow_scripts.text.preprocessing import ModelInput
from workflow_scripts.text.tokenizers import decode, load_tokenizer

SCHEMA = {"zoo": ["id", "animal name"], 'a "b"': ["id", "idx", "id of zoo"], "größe": ["m²"]}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ROOT / "resources/models/standin", "lossless", ["größe m²"])


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary.of(tokenizer)


@pytest.fixture(scope="module")
def rows(real_rows) -> list[Row]:
    """Of several tasks."""
    return [row_from(record, 1) for record in real_rows.records]


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def row(task: str, tables: int) -> Row:
    """A row that shows the first tables of SCHEMA."""
    shown = [
        Table(name, tuple(Column(column, column) for column in columns))
        for name, columns in list(SCHEMA.items())[:tables]
    ]
    texts = {"schema": render_schema(shown), "source": "Which animals?", "target": "?"}
    unused = ("db_id", "evidence", "foreign_keys", "old_sql", "error", "exception_class")
    return Row(idx=tables, line=1, task=task, question="?", gold_sql=None, **texts,
               **dict.fromkeys(unused))  # fmt: skip


def held(constraint: Constraint, tokens: list[int]) -> int:
    """How many of the tokens the constraint lets pass."""
    state = constraint.start
    for place, token in enumerate(tokens):
        if token not in constraint.allowed(state):
            return place
        state = constraint.after(state, token)
    return len(tokens)


def test_the_answers_of_the_data_pass_in_the_tokens_of_the_tokenizer(rows, tokenizer):
    assert len({row.task for row in rows}) > 1
    constraints = Constraints(tokenizer)
    for row in rows:
        constraint = constraints.of(row.task, row.schema)
        tokens = tokenizer(row.target).input_ids
        assert decode(tokenizer, tokens) == row.target
        assert held(constraint, tokens) == len(tokens)


def test_other_names_repeated_columns_and_tables_left_out_do_not_pass(tokenizer, vocabulary):
    constraint = Constraint(SelectorForm(SCHEMA), vocabulary)
    good = (
        '\n```json\n{\n  "zoo": ["animal name", "id"],\n  "a \\"b\\"": ["idx"],\n'
        '  "größe": "drop_all"\n}\n```\n'
    )
    tokens = tokenizer(good).input_ids
    assert held(constraint, tokens) == len(tokens)
    for old, new in (
        ('"animal name"', '"animal names"'),
        ('"zoo"', '"zoos"'),
        (', "id"]', ', "animal name"]'),
        (', "id"]', ', "idx"]'),
        ('["idx"]', "[]"),
        (',\n  "größe": "drop_all"', ""),
        ('"drop_all"\n}', '"drop_all",\n  "zoo": "keep_all"\n}'),
        ("\n```\n", "\n```\nAnd so on."),
    ):
        bad = good.replace(old, new, 1)
        assert bad != good
        tokens = tokenizer(bad).input_ids
        assert held(constraint, tokens) < len(tokens), bad


@pytest.mark.parametrize("seed", range(3))
def test_any_walk_through_the_tokens_allowed_ends_in_json_of_the_schema(
    tokenizer, vocabulary, seed
):
    rng = random.Random(seed)
    constraint = Constraint(SelectorForm(SCHEMA), vocabulary)
    state, tokens = constraint.start, []
    while not tokens or tokens[-1] != tokenizer.eos_token_id:
        tokens.append(rng.choice(constraint.allowed(state)))
        state = constraint.after(state, tokens[-1])
    selection = parse_selector(decode(tokenizer, tokens))
    assert list(selection) == list(SCHEMA)
    for table, choice in selection.items():
        assert choice in ("keep_all", "drop_all") or set(choice) <= set(SCHEMA[table])


SQL = """
Sub question 1: Which animals?
SQL
```sql
SELECT COUNT(DISTINCT T1.`animal name`), size_1
  FROM zoo AS T1
  INNER JOIN `größe` AS t2 ON T1.`id` = t2.`m²`
  WHERE T2.`ID` >= 3.5 AND `id` NOT LIKE '%it''s zzz%'
```

Question Solved.
"""


@pytest.fixture(scope="module")
def sql_form() -> SqlForm:
    return SqlForm(["zoo", "größe"], ["id", "animal name", "m²", "size_1"])


def test_words_that_neither_sqlite_nor_the_schema_has_do_not_pass(tokenizer, vocabulary, sql_form):
    constraint = Constraint(sql_form, vocabulary.in_lower_case())
    tokens = tokenizer(SQL).input_ids
    assert held(constraint, tokens) == len(tokens)
    for old, new in (
        ("animal name", "animal names"),
        ("zoo AS", "zoos AS"),
        ("zoo AS", "zooAS"),
        ("size_1", "size_2"),
        ("size_1", "'size_1"),
        ("T1.`id`", "T1.zoo"),
        ("COUNT", "COUNTER"),
        ("SELECT", "PRAGMA"),
        ("T1.`id`", "TX.`id`"),
        ("```sql\n", "```json\n"),
        ("\n```\n", "\n"),
    ):
        bad = SQL.replace(old, new, 1)
        assert bad != SQL
        tokens = tokenizer(bad).input_ids
        assert held(constraint, tokens) < len(tokens), bad


def test_an_answer_does_not_end_without_sql(tokenizer, vocabulary, sql_form):
    constraint = Constraint(sql_form, vocabulary.in_lower_case())
    assert tokenizer.eos_token_id not in constraint.allowed(constraint.start)
    tokens = tokenizer("\n```sql\nSELECT 1\n```\n").input_ids
    assert held(constraint, tokens) == len(tokens)


@pytest.mark.parametrize("seed", range(3))
def test_any_walk_through_the_tokens_allowed_names_what_is_there(
    tokenizer, vocabulary, sql_form, seed
):
    rng = random.Random(seed)
    constraint = Constraint(sql_form, vocabulary.in_lower_case())
    state, tokens = frozenset([("", "gap")]), []
    for _ in range(300):
        tokens.append(rng.choice(constraint.allowed(state)))
        state = constraint.after(state, tokens[-1])
        if any(place == "answered" for _, place in state):
            break
    sql = decode(tokenizer, tokens).partition("```")[0]
    sql = re.sub(r"'[^']*('|$)", "", sql).lower()
    quoted = re.findall(r"`([^`]*)`", sql)
    assert set(quoted) <= {"zoo", "größe", "id", "animal name", "m²", "size_1"}
    words = re.sub(r"`[^`]*(`|$)", " ", sql).split()
    known = {*KEYWORDS, *FUNCTIONS, "zoo", "größe", "id", "size_1"}
    known |= {f"t{n}" for n in range(1, 10)}
    found = {word for each in words for word in re.findall(r"[^\W\d]\w*", each)}
    *whole, _ = [*found, ""]
    assert len(tokens) > 5 and [word for word in whole if not any(
        each.startswith(word) for each in known)] == []  # fmt: skip


def test_a_model_of_random_weights_is_held(tokenizer, one_thread):
    torch.manual_seed(3)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, **shape)
    ).eval()
    recipe = Recipe(
        name="repaired", prompt="full", source_tokens=16, target_tokens=8, tokenizer="lossless",
        padding_in_loss=False, generate_tokens=200,
    )  # fmt: skip
    # Equal sources of other tasks and schemas, answers of many lengths.
    rows = [row("Selector", 3), row("Decomposer", 3), row("Selector", 1), row("Selector", 2)]
    reads = ModelInput(tokenizer, recipe)
    answers = answer_rows(model, reads, {"val": rows}, 8, constrained=True)
    for asked, answer in zip(rows, answers, strict=True):
        if asked.task == "Selector":
            tables = [table.name for table in parse_schema(asked.schema)]
            assert list(parse_selector(answer.prediction)) == tables
        else:
            assert answer.cut or extract_sql(answer.prediction)


def test_the_agents_are_held_when_asked_to_be(tmp_path, tokenizer, one_thread):
    torch.manual_seed(3)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    T5ForConditionalGeneration(
        T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, **shape)
    ).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    prompt = render_prompt(
        Prompt("Selector", "zoos", "?", "", row("Selector", 2).schema, "a.`id` = b.`id`")
    )
    recipe = Recipe(
        name="repaired", prompt="compact", source_tokens=64, target_tokens=8, tokenizer="lossless",
        padding_in_loss=False, generate_tokens=200,
    )  # fmt: skip
    (answer,) = FineTuned(tmp_path, recipe, constrained=True).answer([prompt])
    assert list(parse_selector(answer.text)) == list(SCHEMA)[:2]


def test_a_tokenizer_that_cannot_write_the_form_holds_nothing(rows):
    constraints = Constraints(load_tokenizer(ROOT / "resources/models/standin", "stock"))
    assert [constraints.of(row.task, row.schema) for row in rows] == [None] * len(rows)
