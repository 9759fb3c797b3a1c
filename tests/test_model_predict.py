"""Prediction: every row answered, in order, as the model alone would answer it."""

import random

import pytest
import tiny_model
import torch

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256
from workflow_scripts.model import decoding
from workflow_scripts.model import predict as stage
from workflow_scripts.model.decoding import generate
from workflow_scripts.model.load import load_model
from workflow_scripts.runs import Answering
from workflow_scripts.tables import PREDICTIONS, read_rows


def predict(tiny, out, recipe=None, **more):
    stage.predict(
        settings=tiny_model.settings(recipe),
        model=tiny / "base",
        out=out,
        **{"train": tiny / "train.parquet", "val": tiny / "val.parquet", **more},
    )
    return read_rows(out, PREDICTIONS)


def test_rows_are_answered_in_their_order_and_where_there_are_none_it_is_said(tiny, tmp_path):
    lines = predict(tiny, tmp_path / "p.parquet", splits=["val", "train"], batch_size=4)
    assert [line.split for line in lines] == ["val"] * 9 + ["train"] * 18
    rows = read_rows(tiny / "val.parquet")
    assert [(line.idx, line.gold) for line in lines[:9]] == [(row.idx, row.target) for row in rows]
    for line in lines:
        # target_tokens is 6, the end mark among them
        assert line.gold_decoded.split() == line.gold.split()[:5]
        assert 1 <= line.prediction_tokens <= 5
        assert line.prediction_tokens == 5 or not line.cut
    for splits, said in ((["test"], "nothing to answer"), (["dev"], "unknown dev")):
        with pytest.raises(EssenceError, match=said):
            predict(tiny, tmp_path / "none", splits=splits)


def test_equal_inputs_are_answered_once_and_what_it_took_is_told(tiny, tmp_path):
    recipe = {"source_tokens": 2, "target_tokens": 9, "generate_tokens": 5}
    for name in ("a", "b"):
        lines = predict(tiny, tmp_path / name, recipe, splits=["train"], summary=tmp_path / "json")
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    rows = read_rows(tiny / "train.parquet")
    first_words = [row.source.split()[0] for row in rows]  # the other token is the end
    numbers = dict(zip(first_words, (line.input for line in lines), strict=True))
    assert [line.input for line in lines] == [numbers[word] for word in first_words]
    assert sorted(numbers.values()) == list(range(len(numbers))) != list(range(18))
    assert [line.reachable for line in lines] == [len(row.target.split()) <= 5 for row in rows]
    took, distinct = Answering.read(tmp_path / "json"), {line.input: line for line in lines}
    assert (took.asked, took.answers) == (18, len(numbers)) and took.seconds > 0
    assert took.ended.get("length", 0) == sum(line.cut for line in distinct.values())
    assert took.output_tokens == sum(line.prediction_tokens for line in distinct.values())


@pytest.fixture(params=["base", "chat"])
def wild(request, tiny):
    """A tiny model with wilder weights, so that rows are answered differently."""
    model = load_model(tiny / request.param).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
        model.lm_head.weight[1] *= 5  # of the end token: answers of many lengths
    return model


def by_hand(model, source, beginning=()):
    """The likeliest tokens one by one, of a row alone."""
    expected, encodes = list(beginning), model.config.is_encoder_decoder
    while len(expected) < 6 and expected[-1:] != [1]:
        given = {"decoder_input_ids": torch.tensor([[0, *expected]])} if encodes else {}
        ids = source if encodes else [*source, *expected]
        logits = model(input_ids=torch.tensor([ids]), **given).logits
        expected.append(int(logits[0, -1].argmax()))
    return expected


def test_answers_are_greedy_whatever_the_batch_and_go_on_with_their_beginning(wild):
    """Rows that end early, late and not at all, together and alone; and equal sources."""
    generator = random.Random(3)
    lengths = [generator.randint(1, 12) for _ in range(60)]
    sources = [[generator.randrange(3, 43) for _ in range(each)] + [1] for each in lengths]
    sources += sources[:4]
    expected = [by_hand(wild, source) for source in sources]
    assert len({len(answer) for answer in expected}) > 2
    for batch_size in (1, 7, 64):
        assert generate(wild, sources, 0, 6, batch_size) == expected
    sources, beginnings = [[5, 6, 7, 1], [8, 1], [5, 6, 7, 1]], [[9, 10, 11], [], [12]]
    answers = generate(wild, sources, 0, 6, 8, beginnings)
    assert answers == [by_hand(wild, *both) for both in zip(sources, beginnings, strict=True)]


def test_too_little_gpu_memory_halves_the_batch(wild, monkeypatch):
    sources = [[place, 1] for place in range(3, 10)]
    whole, original = generate(wild, sources, 0, 3, 8), decoding.decode_greedily

    def small_memory(model, batch, *options):
        if len(batch) > memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, batch, *options)

    memory = 2
    monkeypatch.setattr(decoding, "decode_greedily", small_memory)
    assert generate(wild, sources, 0, 3, 8) == whole
    memory = 0
    with pytest.raises(EssenceError, match="too little memory to answer a single row"):
        generate(wild, sources, 0, 3, 8)
