"""Constrained answers: whatever the weights, a Selector writes JSON of its schema's names."""

import random

import pytest
import torch
from material import ROOT
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.artifacts.settings import Recipe
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.data.rows import row_from
from workflow_scripts.formats.answers import parse_selector
from workflow_scripts.formats.schema import Column, Table
from workflow_scripts.formats.schema_text import parse_schema, render_schema
from workflow_scripts.formats.selector_form import Place, SelectorForm
from workflow_scripts.model.constraint import Constraint, Vocabulary, selector_constraints
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.text.preprocessing import ModelInput
from workflow_scripts.text.tokenizers import decode, load_tokenizer

SCHEMA = {"zoo": ["id", "animal name"], 'a "b"': ["id", "idx", "id of zoo"], "größe": ["m²"]}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ROOT / "resources/models/standin", "lossless", ["größe m²"])


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(tokenizer)


@pytest.fixture(scope="module")
def selectors(real_rows) -> list[Row]:
    rows = [row_from(record, 1) for record in real_rows.records]
    return [row for row in rows if row.task == "Selector"]


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


def test_the_answers_of_the_data_pass_in_the_tokens_of_the_tokenizer(selectors, tokenizer):
    for row, constraint in zip(selectors, selector_constraints(selectors, tokenizer), strict=True):
        tokens = tokenizer(row.target).input_ids
        assert decode(tokenizer, tokens) == row.target
        assert held(constraint, tokens) == len(tokens)


def test_other_names_repeated_columns_and_tables_left_out_do_not_pass(tokenizer, vocabulary):
    constraint = Constraint(SelectorForm(SCHEMA), Place(), vocabulary)
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
    constraint = Constraint(SelectorForm(SCHEMA), Place(), vocabulary)
    state, tokens = constraint.start, []
    while not tokens or tokens[-1] != tokenizer.eos_token_id:
        tokens.append(rng.choice(constraint.allowed(state)))
        state = constraint.after(state, tokens[-1])
    selection = parse_selector(decode(tokenizer, tokens))
    assert list(selection) == list(SCHEMA)
    for table, choice in selection.items():
        assert choice in ("keep_all", "drop_all") or set(choice) <= set(SCHEMA[table])


def test_a_model_of_random_weights_is_held_and_its_other_rows_are_not(tokenizer, one_thread):
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
    free = answer_rows(model, reads, {"val": rows[1:2]}, 8)
    assert answers[1].prediction == free[0].prediction
    for asked, answer in zip(rows, answers, strict=True):
        if asked.task == "Selector":
            tables = [table.name for table in parse_schema(asked.schema)]
            assert list(parse_selector(answer.prediction)) == tables


def test_a_tokenizer_that_cannot_write_json_holds_nothing(selectors):
    stock = load_tokenizer(ROOT / "resources/models/standin", "stock")
    constraints = selector_constraints(selectors, stock)
    assert [c.allowed(c.start) for c in constraints] == [[]] * len(selectors)
