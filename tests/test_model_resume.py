"""A training that is stopped anywhere ends as if it never was: to the byte, on a CPU."""

import json
import multiprocessing
import os
import random
import shutil
import sys

import pytest
import safetensors.torch
import tiny_model

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model import checkpoints
from workflow_scripts.model import train as stage
from workflow_scripts.model.trainer import TaskLossTrainer

# The last two of the epochs, of five steps each, bring no gain.
CHOSEN = tiny_model.settings(run={"learning_rate": 0.2, "epochs": 9, "patience": 2})


class Killed(BaseException):
    """Ends a training at once, as a signal would; nothing may handle it."""


@pytest.fixture(scope="module")
def expected(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    stage.train(**tiny_model.arguments(folder, tiny, CHOSEN))
    summary = read_json(folder / "out/training.json")
    assert summary["stopped_early"] and summary["best_epoch"] == summary["epochs_done"] - 2 > 0
    return tiny_model.contents(folder / "out")


def steps_of(expected):
    return json.loads(expected["training.json"])["steps_done"]


def in_a_process(arguments):
    """Start a training of its own; a fork, so that torch need not be imported again."""

    def body():
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        stage.train(**arguments)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    return process


def run_folder(work):
    return next(path for path in work.iterdir() if path.is_dir())


def die_at(monkeypatch, step):
    """Make the process die within the given step, before it is learned from."""
    original = TaskLossTrainer.training_step

    def training_step(self, *arguments, **options):
        if self.state.global_step + 1 == step:
            raise Killed
        return original(self, *arguments, **options)

    monkeypatch.setattr(TaskLossTrainer, "training_step", training_step)


@pytest.mark.parametrize("tries", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tiny, expected, tmp_path, tries):
    """SIGKILL after a random time, again and again, until a training comes to its end."""
    generator = random.Random(tries)
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    killed, starts = 0, []
    while killed < tries:
        process = in_a_process(arguments)
        process.join(generator.uniform(0.2, 2.0))
        if process.exitcode is None:
            process.kill()
            killed += 1
        process.join()
        if process.exitcode == 0:
            assert tiny_model.contents(arguments["out"]) == expected
            starts.append(read_json(arguments["out"] / "provenance.json")["starts"])
            shutil.rmtree(arguments["out"])
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected
    starts.append(read_json(arguments["out"] / "provenance.json")["starts"])
    assert tries < 20 or max(starts) > 1  # some went on from a checkpoint


@pytest.mark.parametrize("step", [1, 2, 6, 8, 13])
def test_killed_within_a_step(tiny, expected, tmp_path, monkeypatch, step):
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_at(patch, step)
        stage.train(**arguments)
    assert not arguments["out"].exists()
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected
    assert read_json(arguments["out"] / "provenance.json")["starts"] == (1 if step < 6 else 2)


def test_killed_between_the_last_save_and_publishing(tiny, expected, tmp_path, monkeypatch):
    """Early stopping had ended the training: not one step may be added to it."""
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage, "save_model", killed)
        stage.train(**arguments)
    with monkeypatch.context() as patch:
        patch.setattr(TaskLossTrainer, "training_step", killed)
        stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected


def stopped_at(step, arguments, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_at(patch, step)
        stage.train(**arguments)
    return run_folder(arguments["work"])


def test_the_newest_and_the_best_checkpoint_are_kept(tiny, expected, tmp_path, monkeypatch):
    folder = stopped_at(
        steps_of(expected), tiny_model.arguments(tmp_path, tiny, CHOSEN), monkeypatch
    )
    kept = [checkpoints.step_of(path) for path in checkpoints.all_whole(folder)]
    best = json.loads(expected["training.json"])["best_step"]
    assert kept == [best, steps_of(expected) - 5]


def test_a_checkpoint_that_is_not_whole_is_made_again(tiny, expected, tmp_path, monkeypatch):
    """Killed while the second was written: the first is resumed from."""
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)

    def killed(*_):
        raise Killed

    seal = checkpoints.seal

    def killed_at_the_second(folder, notes):
        (killed if checkpoints.step_of(folder) == 10 else seal)(folder, notes)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints, "seal", killed_at_the_second)
        stage.train(**arguments)
    second = run_folder(arguments["work"]) / "checkpoint-10"
    (second / "model.safetensors").write_bytes(b"cut")
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected
    assert read_json(arguments["out"] / "provenance.json")["starts"] == 2


def test_checkpoints_of_other_settings_are_not_touched(tiny, tmp_path, monkeypatch):
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    other = stopped_at(8, arguments, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in other.rglob("*")}
    arguments["settings"] = tiny_model.settings(run={"epochs": 1})
    stage.train(**arguments)
    assert read_json(arguments["out"] / "provenance.json")["starts"] == 1
    assert {path: path.stat().st_mtime_ns for path in other.rglob("*")} == before


def test_a_clock_that_jumps_changes_nothing(tiny, expected, tmp_path, monkeypatch):
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    folder = stopped_at(13, arguments, monkeypatch)
    for place, path in enumerate(checkpoints.all_whole(folder)):
        os.utime(path, (10**9 - place, 10**9 - place))  # newest first, and long ago
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected


def test_a_disk_that_gives_back_other_weights_is_noticed(tiny, tmp_path, monkeypatch):
    read = safetensors.torch.load_file

    def read_wrongly(*arguments, **options):
        tensors = read(*arguments, **options)
        next(iter(tensors.values())).view(-1)[0] += 1
        return tensors

    monkeypatch.setattr(safetensors.torch, "load_file", read_wrongly)
    arguments = tiny_model.arguments(tmp_path, tiny, tiny_model.settings(run={"epochs": 1}))
    with pytest.raises(EssenceError, match="gave back other weights"):
        stage.train(**arguments)
    assert not list(arguments["out"].iterdir())
