"""Constrained answers: names of the schema in their places, whatever the weights."""

import pytest
import tiny_model
import torch
import yaml
from material import ROOT
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.data.rows import row_from
from workflow_scripts.formats.answers import extract_sql, parse_selector
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Column, Table, parse_schema, render_schema
from workflow_scripts.model.constraint import Constraints, allowed
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.tables import Row
from workflow_scripts.text.preprocessing import ModelInput
from workflow_scripts.text.tokenizers import load_tokenizer

SCHEMA = {
    "zoo": ["id", "animal name", "size_1"],
    'a "b"': ["number", "idx", "id of zoo"],
    "größe": ["id", "m²"],
}
ANSWERS = yaml.safe_load((ROOT / "tests/constrained_answers.yaml").read_text(encoding="utf-8"))
KEYS = "größe.`id` = zoo.`id`"


@pytest.fixture(scope="module")
def tokenizers():
    """One of SentencePiece's kind, which llguidance cannot read itself, and one of bytes."""
    pieces = load_tokenizer(ROOT / "resources/models/standin", "lossless", ["größe m²"])
    return {"pieces": pieces, "bytes": tiny_model.byte_tokenizer(eos_token="</s>")}


@pytest.fixture(scope="module", params=["pieces", "bytes"])
def constraints(request, tokenizers):
    return Constraints(tokenizers[request.param])


def schema(tables: int) -> str:
    """The first tables of SCHEMA, as prompts show them."""
    return render_schema(
        Table(name, tuple(Column(column, column) for column in SCHEMA[name]))
        for name in list(SCHEMA)[:tables]
    )


def row(task: str, tables: int) -> Row:
    texts = {"schema": schema(tables), "source": "Which animals?", "target": "?"}
    return Row(**dict.fromkeys(Row._fields) | texts | {"idx": tables, "task": task})


def passes(constraints: Constraints, task: str, text: str) -> bool:
    form = constraints.of(task, schema(3), KEYS).deep_copy()
    tokens = constraints.tokens.tokenize_str(text)
    return form.try_consume_tokens(tokens) == len(tokens) and form.is_accepting()


def test_the_answers_of_the_data_pass_in_the_tokens_of_the_tokenizer(real_rows, tokenizers):
    rows = [row_from(record, 1) for record in real_rows.records]
    assert len({row.task for row in rows}) > 1
    for tokenizer in tokenizers.values():
        constraints = Constraints(tokenizer)
        for row in rows:
            form = constraints.of(row.task, row.schema, row.foreign_keys).deep_copy()
            for token in tokenizer(row.target, add_special_tokens=False).input_ids:
                assert token in allowed(form) and form.consume_token(token)
            assert tokenizer.eos_token_id in allowed(form)


@pytest.mark.parametrize("task", ["Selector", "Decomposer"])
def test_names_stand_in_their_places_and_no_others_pass(constraints, task):
    answer = ANSWERS[task]["answer"]
    assert passes(constraints, task, answer)
    for old, new in ANSWERS[task]["changes"]:
        assert old in answer
        assert not passes(constraints, task, answer.replace(old, new, 1)), (old, new)


def test_sql_of_many_kinds_passes_and_none_that_names_no_table(constraints):
    for sql in ANSWERS["Refiner"]:
        assert passes(constraints, "Refiner", f"\n```sql\n{sql}\n```\n"), sql
    assert not passes(constraints, "Refiner", "\n```sql\nselect 1\n```\n")


def test_what_a_large_schema_allows_is_known_in_time(constraints):
    """A hundred tables of twenty columns: more combinations than there are rules for."""
    tables = [
        Table(f"table_{n}", tuple(Column(f"column_{n}_{k}" if k else "id", "") for k in range(20)))
        for n in range(100)
    ]
    form = constraints.of("Refiner", render_schema(tables), "").deep_copy()
    sql = "SELECT t1.`column_3_4` FROM table_3 AS t1 JOIN table_9 AS t2 ON t1.id = t2.`column_9_3`"
    for token in constraints.tokens.tokenize_str(f"```sql\n{sql}\n```"):
        assert token in allowed(form) and form.consume_token(token)
    assert form.is_accepting()


def test_a_model_of_random_weights_keeps_to_the_form(tokenizers, tmp_path):
    tokenizer = tokenizers["pieces"]
    torch.manual_seed(3)
    shape = {"vocab_size": len(tokenizer), "decoder_start_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(**tiny_model.SHAPE | shape)).eval()
    recipe = tiny_model.RECIPE.model_copy(update={"generate_tokens": 200})
    # Equal sources of other tasks and schemas, answers of many lengths.
    rows = [row("Selector", 3), row("Decomposer", 3), row("Selector", 1), row("Selector", 2)]
    reads = ModelInput(tokenizer, recipe)
    answers = answer_rows(model, reads, {"val": rows}, 8, constrained=True)
    for given, answer in zip(rows, answers, strict=True):
        if given.task == "Selector":
            selection = parse_selector(answer.prediction)
            assert list(selection) == [table.name for table in parse_schema(given.schema)]
            for table, choice in selection.items():
                assert choice in ("keep_all", "drop_all") or set(choice) <= set(SCHEMA[table])
        else:
            assert answer.cut or extract_sql(answer.prediction)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    agents = FineTuned(tmp_path, recipe, constrained=True)
    prompt = render_prompt(Prompt("Selector", "zoos", "?", "", schema(2), KEYS))
    (answer,) = agents.answer([prompt])
    assert list(parse_selector(answer.text)) == list(SCHEMA)[:2]


def test_a_tokenizer_that_cannot_write_the_form_is_left_free():
    constraints = Constraints(load_tokenizer(ROOT / "resources/models/standin", "stock"))
    assert constraints.of("Selector", schema(3), KEYS) is None
