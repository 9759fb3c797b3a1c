"""The check of a GPU, at a tiny size on a CPU: each line has its numbers, and no fault stops it."""

import re

import pytest
import torch
from shell import run_module

from tools.gpu_check import cell, compared, prepare, rehearsal, trainings
from workflow_scripts.errors import EssenceError
from workflow_scripts.model.device import choose_device

NUMBER = r"[\d.,]+"
PAIR = rf"{NUMBER} s, {NUMBER} MiB"
RATE = rf"{NUMBER} a second"
TOGETHER = rf"{NUMBER} steps a second together, {NUMBER} MiB of the host's memory each"
LINES = {
    "Loss of the same 4 rows": (rf"{NUMBER} in bf16, {NUMBER} in float32 \(nats a token\)", ""),
    **{
        f"A step of batch {rows}, {tokens}/32 tokens: time, largest memory": (PAIR, PAIR)
        for tokens in (32, 128)
        for rows in (1, 4, 8)
    },
    "Answers of 32 tokens to 32": (RATE, RATE),
    "Answers of 32 tokens to 128": (RATE, RATE),
    "Trainings at once, batch 4: 1": (TOGETHER, ""),
    "Trainings at once, batch 4: 2": (TOGETHER, ""),
    "The rehearsal": (rf"{NUMBER} s --dry-run", ""),
}


@pytest.mark.slow
def test_every_line_of_the_table_is_measured():
    done = run_module("tools.gpu_check", "--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stderr
    machine, empty, _, _, *lines = done.stdout.splitlines()
    assert re.search(r" cores; Python 3\.\d+.*, torch .*; commit \w+", machine) and not empty
    cells = [[each.strip() for each in line.strip("|").split("|")] for line in lines]
    assert [what for what, *_ in cells] == list(LINES)
    for what, *values in cells:
        for value, pattern in zip(values, LINES[what], strict=True):
            assert re.fullmatch(pattern, value), (what, value)
            numbers = re.findall(r"\d[\d.,]*", value.replace("float32", "").replace("bf16", ""))
            assert all(float(number.strip(",").replace(",", "")) > 0 for number in numbers), what
    assert f"{len(lines)}/{len(lines)} {lines[-1]}" in done.stderr


def test_without_a_gpu_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = run_module("tools.gpu_check")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: no GPU is visible here.") and "--tiny" in done.stderr


def test_a_measurement_that_fails_is_an_entry():
    def fails(error):
        raise error

    assert cell(lambda: fails(torch.OutOfMemoryError("CUDA out of memory"))) == "out of memory"
    assert cell(lambda: fails(EssenceError("a | b\n c"))) == "failed: a / b c"
    assert cell(None) == ""


@pytest.mark.parametrize("bf16", [10.0, float("nan")])
def test_bf16_that_gives_another_loss_is_not_trusted(bf16):
    with pytest.raises(EssenceError, match="precision to fp32"):
        compared(bf16, 11.0)


def test_what_a_failing_process_said_is_the_entry(tmp_path):
    bench = prepare(tmp_path, choose_device("cpu", "fp32"), tiny=True)
    lost = bench._replace(base=tmp_path / "nothing")
    assert "nothing: no such model folder" in cell(lambda: trainings(lost, 1))
    assert "--no-such-option" in cell(lambda: rehearsal(bench, "--no-such-option"))
