"""Prediction: every row answered, in order, as the model alone would answer it."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
import torch

from workflow_scripts.artifacts.parquet import read_rows
from workflow_scripts.artifacts.tables import Prediction, Row
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256
from workflow_scripts.model import predict as stage
from workflow_scripts.model.load import load_model

ROOT = Path(__file__).resolve().parent.parent


def predict(tiny, out, recipe=None, **more):
    stage.predict(
        settings=tiny_model.settings(recipe),
        model=tiny / "base",
        out=out,
        **{"train": tiny / "train.parquet", "val": tiny / "val.parquet", **more},
    )
    return read_rows(Prediction, out)


def test_rows_are_answered_in_their_order(tiny, tmp_path):
    lines = predict(tiny, tmp_path / "p.parquet", splits=["val", "train"], batch_size=4)
    assert [line.split for line in lines] == ["val"] * 9 + ["train"] * 18
    rows = read_rows(Row, tiny / "val.parquet")
    assert [line.idx for line in lines[:9]] == [row.idx for row in rows]
    assert [line.gold for line in lines[:9]] == [row.target for row in rows]
    for line in lines:
        # target_tokens is 6, the end mark among them
        assert line.gold_decoded.split() == line.gold.split()[:5]
        assert 1 <= line.prediction_tokens <= 5
        assert line.prediction_tokens == 5 or not line.cut


def test_equal_predictions_are_equal_to_the_byte(tiny, tmp_path):
    for name in ("a", "b"):
        predict(tiny, tmp_path / name, splits=["val"])
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")


def test_answers_are_greedy_whatever_the_batch(tiny):
    model = load_model(tiny / "base").eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():  # wilder weights, so that rows are answered differently
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    sources = [[5, 6, 7, 1], [8, 1], [9, 10, 1], [5, 6, 7, 1], [12] * 6 + [1]]
    answers = stage.generate(model, sources, 0, 6, batch_size=2)
    assert len({tuple(answer) for answer in answers}) > 1
    for source, answer in zip(sources, answers, strict=True):
        expected = [0]
        while len(expected) < 7 and expected[-1] != 1:
            logits = model(
                input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([expected])
            ).logits
            expected.append(int(logits[0, -1].argmax()))
        assert answer == expected[1:]


def test_the_end_mark_ends_an_answer_and_its_absence_is_a_cut(tiny, monkeypatch):
    model = load_model(tiny / "base")
    output = torch.tensor([[0, 5, 1, 0], [0, 5, 6, 7]])
    monkeypatch.setattr(model, "generate", lambda **_: output)
    assert stage.generate(model, [[5, 1], [6, 1]], 0, 3, 2) == [[5, 1], [5, 6, 7]]


def test_too_little_gpu_memory_halves_the_batch(tiny, monkeypatch):
    model = load_model(tiny / "base")
    sources = [[place, 1] for place in range(3, 10)]
    whole = stage.generate(model, sources, 0, 3, 8)
    original = stage._decode_greedily

    def small_memory(model, batch, *options):
        if len(batch) > memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, batch, *options)

    memory = 2
    monkeypatch.setattr(stage, "_decode_greedily", small_memory)
    assert stage.generate(model, sources, 0, 3, 8) == whole
    memory = 0
    with pytest.raises(EssenceError, match="too little memory to answer a single row"):
        stage.generate(model, sources, 0, 3, 8)


def test_nothing_to_answer(tiny, tmp_path):
    with pytest.raises(EssenceError, match="nothing to answer"):
        predict(tiny, tmp_path / "p.parquet", splits=["test"])
    with pytest.raises(EssenceError, match="unknown dev"):
        predict(tiny, tmp_path / "p.parquet", splits=["dev"])


def test_a_mistake_is_said_without_importing_torch(tmp_path):
    code = (
        "import sys; from workflow_scripts.stage import arguments\n"
        "from workflow_scripts.model.predict import predict\n"
        "try: predict(**arguments(predict, sys.argv[1:]))\n"
        "except Exception as error: print('torch' in sys.modules, error)"
    )
    given = ["--settings", tiny_model.settings().model_dump_json(), "--model", "nowhere"]
    done = subprocess.run(
        [sys.executable, "-c", code, *given, "--out", "x"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.startswith("False nowhere: no such model folder"), done
