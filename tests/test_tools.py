"""The tools that measure: what they print has its numbers. (test_documents.py calls the others.)"""

import re

import pytest
import torch
from shell import run_module

from tools.gpu_check import cell, compared


@pytest.mark.slow
def test_the_check_of_a_gpu_measures_every_line():
    done = run_module("tools.gpu_check", "--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stderr
    machine, _, _, _, *lines = done.stdout.splitlines()
    assert re.search(r" cores; Python 3\.\d+.*, torch .*; commit \w+", machine)
    assert len(lines) == 1 + 6 + 2 + 2 + 1  # losses, steps, answers, trainings at once, rehearsal
    for line in lines:
        _, here, notebooks = (each.strip() for each in line.strip("|").split("|"))
        both = "A step" in line or "Answers" in line
        assert re.match(r"[\d.,]*[1-9]", here) and bool(notebooks) == both, line


def test_the_check_of_a_gpu_says_what_it_needs_and_goes_on_after_a_fault(monkeypatch):
    def no_room():
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert cell(no_room) == "out of memory"
    for bf16 in (10.0, float("nan")):
        assert "failed: " in cell(lambda loss=bf16: compared(loss, 11.0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = run_module("tools.gpu_check")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: no GPU is visible here.") and "--tiny" in done.stderr
