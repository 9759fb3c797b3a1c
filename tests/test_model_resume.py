"""A training that is stopped anywhere ends as if it never was: to the byte, on a CPU."""

import multiprocessing
import os
import random
import shutil

import pytest
import tiny_model

from workflow_scripts.files import read_json
from workflow_scripts.model import train as stage
from workflow_scripts.model.trainer import STATE, TaskLossTrainer

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


def stopped_at(step, arguments, monkeypatch):
    """Die within the given step, before it is learned from; return the folder of checkpoints."""
    original = TaskLossTrainer.training_step

    def training_step(self, *given, **options):
        if self.state.global_step + 1 == step:
            raise Killed
        return original(self, *given, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(TaskLossTrainer, "training_step", training_step)
        stage.train(**arguments)
    assert not arguments["out"].exists()
    return next(path for path in arguments["work"].iterdir() if path.is_dir())


@pytest.mark.parametrize("tries", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tiny, expected, tmp_path, tries):
    """SIGKILL after a random time, again and again, until a training comes to its end."""
    generator, fork = random.Random(tries), multiprocessing.get_context("fork")
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    kills = 0
    while kills < tries:
        process = fork.Process(target=stage.train, kwargs=arguments)
        process.start()
        process.join(generator.uniform(0.2, 2.0))
        if process.exitcode is None:
            process.kill()
            kills += 1
        process.join()
        if process.exitcode == 0:
            assert tiny_model.contents(arguments["out"]) == expected
            shutil.rmtree(arguments["out"])
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected


def spoil_the_newest(folder):
    """As if killed while it was written."""
    (folder / "checkpoint-10/model.safetensors").write_bytes(b"cut")
    (folder / "checkpoint-10" / STATE).write_bytes(b'{"epoch": 2.0, "glo')


def turn_back_the_clock(folder):
    for place, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (10**9 - place, 10**9 - place))


@pytest.mark.parametrize(
    ("step", "then"),
    [(2, None), (8, None), (13, spoil_the_newest), (13, turn_back_the_clock)],
)
def test_killed_within_a_step(tiny, expected, tmp_path, monkeypatch, capfd, step, then):
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    folder = stopped_at(step, arguments, monkeypatch)
    if then:
        then(folder)
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected
    assert ("resuming from" in capfd.readouterr().err) == (step >= 6)


def test_killed_between_the_last_save_and_publishing(tiny, expected, tmp_path, monkeypatch):
    """Early stopping had ended the training: not one step may be added to it."""
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(stage, "save_model", None)
        stage.train(**arguments)
    monkeypatch.setattr(TaskLossTrainer, "training_step", None)
    stage.train(**arguments)
    assert tiny_model.contents(arguments["out"]) == expected


def test_checkpoints_of_other_settings_are_not_touched(tiny, tmp_path, monkeypatch, capfd):
    arguments = tiny_model.arguments(tmp_path, tiny, CHOSEN)
    other = stopped_at(8, arguments, monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in other.rglob("*")}
    arguments["settings"] = tiny_model.settings(run={"epochs": 1})
    stage.train(**arguments)
    assert "resuming" not in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in other.rglob("*")} == before
