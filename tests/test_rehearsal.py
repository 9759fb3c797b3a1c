"""What configs/rehearsal.yaml is made of: a model of T5-small's size, rows of the real length."""

from collections import defaultdict
from statistics import mean, median

import pytest
from conftest import overlaid

from workflow_scripts.data.twin.build import TwinSettings, build
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats.prompts import (
    TASKS,
    compact_prompt,
    parse_prompt,
    render_own,
    to_source,
)
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.records import parsed
from workflow_scripts.text.tokenizers import embedding_rows_needed, load_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "t5_small"
    random_weights(folder)
    return folder


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Task -> (prompt, answer) of rows made as the rehearsal makes them, one in ten."""
    folder = tmp_path_factory.mktemp("twin")
    given = overlaid("rehearsal.yaml")["twin"]
    fewer = {task: count // 10 for task, count in given["rows"].items()}
    build(folder, parsed(TwinSettings, given | {"rows": fewer}, "twin"))
    made = defaultdict(list)
    for row in read_jsonl(folder / "rows.jsonl"):
        _, user, assistant = (message["content"] for message in row["messages"])
        made[parse_prompt(user).task].append((user, assistant))
    return made


def test_the_model_has_the_size_of_the_reports_to_the_byte(model):
    assert (model / "model.safetensors").stat().st_size == 242_041_896
    assert embedding_rows_needed(load_tokenizer(model, "stock")) == 32_100
    assert embedding_rows_needed(load_tokenizer(model, "lossless")) <= 32_128


def test_what_t5_cannot_write_its_tokenizer_cannot_write_either(model):
    for text in ("a `b`", "{a}", "a < b", "a\nb"):
        for kind, kept in (("stock", False), ("lossless", True)):
            tokenizer = load_tokenizer(model, kind)
            ids = tokenizer.encode(text)
            assert (tokenizer.decode(ids, skip_special_tokens=True) == text) == kept, (kind, text)


def test_prompts_are_as_long_as_the_real_ones(model, prompts):
    tokenizer = load_tokenizer(model, "stock")

    def tokens(task, text_of):
        return [len(tokenizer.encode(text_of(user))) for user, _ in prompts[task]]

    constant = {}
    for task in TASKS:
        whole = tokens(task, to_source)
        own = tokens(task, lambda user: render_own(parse_prompt(user)))
        constant[task] = median(whole) - median(own)
        compact = tokens(task, lambda user: compact_prompt(parse_prompt(user)))
        assert 936 < max(compact) < 2048, "nothing that the repaired recipe cuts"
    real = {"Selector": 1176, "Decomposer": 2004, "Refiner": 312}
    assert constant == pytest.approx(real, rel=0.2)


def test_answers_are_as_long_as_the_real_ones(model, prompts):
    """Six in ten of the real answers are longer than the 128 tokens that are generated as run."""
    tokenizer = load_tokenizer(model, "lossless")
    answers = [answer for of_task in prompts.values() for _, answer in of_task]
    lengths = [len(tokenizer.encode(answer)) for answer in answers]
    assert 0.5 < mean(length > 128 for length in lengths) < 0.7
    assert max(lengths) < 512
