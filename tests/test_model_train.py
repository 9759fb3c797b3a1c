"""Training: losses true for each task, the best epoch kept, everything published or nothing."""

import json
import shutil
from contextlib import nullcontext

import pytest
import tiny_model
import torch
from torch.nn.functional import cross_entropy
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, sha256
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model import train as stage
from workflow_scripts.model.load import load_model
from workflow_scripts.model.trainer import TaskLossTrainer, target_logits
from workflow_scripts.settings import ModelSettings
from workflow_scripts.tables import read_rows
from workflow_scripts.text.preprocessing import model_input


def train(folder, tiny, chosen, base="base", **more):
    stage.train(**tiny_model.arguments(folder, tiny, chosen, base) | more)
    return read_json(folder / "out/training.json")


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    train(folder, tiny, tiny_model.settings())
    return folder


def log_of(folder):
    return [json.loads(line) for line in (folder / "out/training_log.jsonl").open()]


def by_hand(folder, recipe, rows):
    """(loss sum, tokens, real loss sum, real tokens) by task: one row at a time, by definition."""
    model, reads = load_model(folder).eval(), model_input(folder, recipe)
    sums = {task: [0.0, 0, 0.0, 0] for task in TASKS}
    for row in rows:
        (source,), (target,) = reads.sources([row.source]), reads.targets([row.target])
        padded = target + [reads.pad] * (recipe.target_tokens - len(target))
        answer = padded if recipe.padding_in_loss else target
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                logits = model(torch.tensor([source]), labels=torch.tensor([answer])).logits[0]
            else:
                logits = model(torch.tensor([source + answer])).logits[0, len(source) - 1 : -1]
        losses = cross_entropy(logits, torch.tensor(answer), reduction="none")
        real = losses[: len(target)]
        for place, value in enumerate((losses.sum(), len(losses), real.sum(), len(real))):
            sums[row.task][place] += float(value)
    return sums


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("base", ["base", "chat", "llama"])
def test_losses_of_each_task_equal_those_computed_by_hand(tiny, tmp_path, base, padding):
    """Of a decoder-only model, on answers alone. A learning rate of zero keeps the base model."""
    causal = base != "base"
    recipe = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12} if causal else {}
    model = ModelSettings(architecture="causal") if causal else None
    run = {"learning_rate": 0.0, "epochs": 1}
    chosen = tiny_model.settings(recipe | {"padding_in_loss": padding}, run, model=model)
    train(tmp_path, tiny, chosen, base)
    evaluation = next(event for event in log_of(tmp_path) if event["event"] == "epoch")
    expected = by_hand(tiny / base, chosen.recipe, read_rows(tiny / "val.parquet"))
    everything = [sum(column) for column in zip(*expected.values(), strict=True)]
    parts = [(evaluation, everything)]
    parts += [(evaluation["tasks"][task], sums) for task, sums in expected.items()]
    for losses, (loss, tokens, real_loss, real_tokens) in parts:
        assert losses["eval_loss"] == pytest.approx(loss / tokens, rel=1e-5)
        assert losses["loss_per_token"] == pytest.approx(real_loss / real_tokens, rel=1e-5)


def test_equal_sources_are_encoded_once_with_the_gradients_of_all_rows():
    """Where nothing is dropped: dropout would tell them apart."""
    torch.manual_seed(1)
    config = T5Config(vocab_size=30, **tiny_model.SHAPE | {"dropout_rate": 0.0})
    model, rows, gradients = T5ForConditionalGeneration(config).train(), [], []
    ids = torch.tensor([[4, 5, 1], [6, 1, 0], [4, 5, 1], [4, 5, 1]])
    labels = torch.tensor([[7, 1], [8, 1], [9, 1], [7, 1]])
    batch = {"input_ids": ids, "attention_mask": ids.ne(0).long(), "labels": labels}
    model.encoder.register_forward_hook(lambda _, __, out: rows.append(len(out.last_hidden_state)))
    for logits in (target_logits(model, batch, 0, nullcontext), model(**batch).logits):
        model.zero_grad()
        logits.log_softmax(-1)[..., 3].sum().backward()
        gradients.append([each.grad.clone() for each in model.parameters()])
    assert rows == [2, 4]
    torch.testing.assert_close(*gradients)


def test_what_is_published(finished, tiny):
    out = finished / "out"
    names = ["model", "provenance.json", "training.json", "training_log.jsonl"]
    assert sorted(path.name for path in out.iterdir()) == names
    summary, events = read_json(out / "training.json"), log_of(finished)
    assert [event["event"] for event in events[:6]] == ["step"] * 5 + ["epoch"]
    losses = [epoch["eval_loss"] for epoch in summary["epochs"]]
    assert summary["best_eval_loss"] == min(losses)
    assert summary["best_epoch"] == losses.index(min(losses)) + 1
    assert summary["steps_done"] == summary["steps_planned"] == 15
    assert summary["rows"]["val"] == {"all": 9, "Selector": 3, "Decomposer": 3, "Refiner": 3}
    for task in TASKS:  # of every row, once an epoch
        targets = [row.target for row in read_rows(tiny / "train.parquet") if row.task == task]
        tokens = [event["tasks"].get(task, {"tokens": 0})["tokens"] for event in events[:5]]
        made = model_input(tiny / "base", tiny_model.RECIPE).targets(targets)
        assert sum(tokens) == sum(map(len, made))
    steps = [sums for event in events[:5] for sums in event["tasks"].values()]
    mean = sum(sums["loss_sum"] for sums in steps) / sum(sums["tokens"] for sums in steps)
    assert summary["epochs"][0]["train_loss"] == pytest.approx(mean)
    facts = read_json(out / "provenance.json")
    assert facts["data"]["train"] == sha256(tiny / "train.parquet")
    assert facts["model"]["sha256"] == sha256(out / "model/model.safetensors")
    assert facts["rows_at_once"] == 4 and facts["device"]["precision"] == "fp32"
    assert not [path for path in (finished / "work").iterdir() if path.is_dir()]
    assert read_json(out / "model/config.json")["use_cache"] is True


def test_losses_can_be_watched_where_the_package_is(finished, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("ESSENCE_REPORT_TO", "tensorbord")
    with pytest.raises(EssenceError, match="pip install tensorbord"):
        train(tmp_path, tiny, tiny_model.settings())
    pytest.importorskip("tensorboard", reason="make extras installs it")
    monkeypatch.setenv("ESSENCE_REPORT_TO", "tensorboard")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "watched"))
    train(tmp_path, tiny, tiny_model.settings())
    assert tiny_model.contents(tmp_path / "out") == tiny_model.contents(finished / "out")
    assert any("tfevents" in path.name for path in (tmp_path / "watched").rglob("*"))


@pytest.mark.parametrize("by", ["eval_loss", "loss_per_token"])
def test_the_weights_of_the_best_epoch_are_published(tiny, tmp_path, by):
    # Far too high a rate: after the first epoch it only gets worse.
    run, metric = {"learning_rate": 0.5, "epochs": 4, "patience": None}, "best_" + by
    chosen = tiny_model.settings({"padding_in_loss": True}, run, {"best_metric": by})
    summary = train(tmp_path / "long", tiny, chosen)
    assert summary["best_epoch"] < summary["epochs_done"] == 4 and not summary["stopped_early"]
    assert summary[metric] == min(epoch[by] for epoch in summary["epochs"])
    again = tiny_model.settings({"padding_in_loss": True}, {"learning_rate": 0.0, "epochs": 1})
    measured = train(tmp_path / "again", tiny, again, base=tmp_path / "long/out/model")
    assert measured[metric] == pytest.approx(summary[metric], rel=1e-6)


def test_a_loss_that_is_no_number_stops_the_run(tiny, tmp_path):
    chosen = tiny_model.settings(run={"learning_rate": 1e30, "epochs": 40})
    with pytest.raises(EssenceError, match=r"loss is (nan|inf) at step \d+ .*learning_rate"):
        train(tmp_path, tiny, chosen)
    assert not (tmp_path / "out").exists()


def test_too_little_gpu_memory_halves_what_is_computed_at_a_time(
    tiny, tmp_path, monkeypatch, capfd
):
    """Of rows that are trained on, and rows that are evaluated; the batch stays the same."""
    original, room = TaskLossTrainer._sums, 99

    def small_memory(self, model, inputs):
        if len(inputs["task"]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, model, inputs)

    base = shutil.copytree(tiny / "base", tmp_path / "base")
    config = read_json(base / "config.json") | {"dropout_rate": 0.0}  # drawn per micro-batch
    (base / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(TaskLossTrainer, "_sums", small_memory)
    losses, run = [], {"epochs": 1}
    for room, at_once in ((99, None), (2, None), (99, 1)):  # the last by the settings
        folder = tmp_path / f"{room} {at_once}"
        chosen = tiny_model.settings(run=run, training={"rows_at_once": at_once})
        train(folder, tiny, chosen, base=base)
        rows = read_json(folder / "out/provenance.json")["rows_at_once"]
        assert rows == (at_once or min(room, 4))
        losses.append([event.get("loss", event.get("eval_loss")) for event in log_of(folder)])
        assert losses[0] == pytest.approx(losses[-1], rel=1e-4)
    assert "out of GPU memory with 4 rows at a time" in capfd.readouterr().err
    room = 0
    with pytest.raises(EssenceError, match="too little memory for a single row"):
        train(tmp_path / "none", tiny, chosen, base=base)


def test_a_full_disk_while_publishing_leaves_what_was_there(finished, tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    arguments = tiny_model.arguments(tmp_path, tiny, tiny_model.settings(seed=43))
    before = tiny_model.contents(shutil.copytree(finished / "out", arguments["out"]))
    with monkeypatch.context() as patch, pytest.raises(EssenceError, match="no space left on the"):
        patch.setattr(stage, "write_text", full)  # when the model is there already
        stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == before
    assert sorted(path.name for path in arguments["out"].iterdir())[0] == "model"
    monkeypatch.setattr(TaskLossTrainer, "training_step", None)  # no step is done again
    stage.train(**arguments)
