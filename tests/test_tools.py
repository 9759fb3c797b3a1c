"""The tools that measure: what they print has its numbers. (test_documents.py calls the others.)"""

import re

import pytest
import torch
from shell import run_module
from test_agents_loop import decomposed
from tokenizers import Tokenizer, models, pre_tokenizers

from tools.endpoint_cost import endpoint_cost
from tools.gpu_check import cell, compared
from workflow_scripts.data.rows import row_from
from workflow_scripts.files import write_jsonl
from workflow_scripts.formats.prompts import Prompt, render_prompt, to_source
from workflow_scripts.tables import ROWS, write_table


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


def test_tokens_that_an_endpoint_would_read_are_counted_once_a_prompt(tmp_path, capsys):
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))  # tokens are words
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    prompt = render_prompt(Prompt("Decomposer", None, "How many?", "", "# Table: t\n[\n]", ""))
    answer = decomposed("SELECT 1")
    row = row_from({"idx": 1, "source": to_source(prompt), "target": answer}, 1)
    for name in ("data", "agents"):
        (tmp_path / name).mkdir()
    for split in ("test", "unseen"):
        write_table(tmp_path / "data" / f"{split}.parquet", [row], ROWS)
    steps = [{"prompt": text, "answer": "a b c"} for text in (prompt, "one two")]
    write_jsonl(tmp_path / "agents/traces.jsonl", [{"steps": steps}])
    endpoint_cost(tmp_path, tmp_path)
    *_, rows, agents, together = capsys.readouterr().out.splitlines()
    read, written = len(prompt.split()), len(answer.split())
    assert rows.startswith(f"| Decomposer, test rows | 1 | {read:,} | {read:,} | {written} |")
    assert agents == "| the agents end to end | 1 | 2 | 2 | 3 | 2 | 3 |"
    assert together == f"| together | 2 | | | | {read + 2:,} | {written + 3:,} |"
