"""Prompts, answers and a small tokenizer of T5's kind, for the tests of the text stage."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from workflow_scripts.formats.answers import render_decomposer, render_refiner, render_selector
from workflow_scripts.formats.prompts import Prompt, render_prompt, to_source

SCHEMA = """\
# Table: kiln
[
  (kiln_no, kiln no.),
  (Heat (C/h), rise of heat. Value examples: [None, 60, 90.5]. And a slow rise (60) is safe),
  (maker, maker. Value examples: ["O'Neill", 'Brand, Sons].', '12', 'None'].),
  (built, built. Value examples: ['2019-03-01'].)
]
# Table: pot
[
  (pot_no, number of the pot. And it stands on the foot),
  (kiln_no, kiln no.)
]"""
KEYS = "pot.`kiln_no` = kiln.`kiln_no`"
SQL = """\
SELECT T1.`maker`
  FROM kiln AS T1
  WHERE T1.`Heat (C/h)` <= 60
  AND T1.`maker` <> 'x  y'"""


def prompt(task: str, number: int = 1, **changes) -> Prompt:
    fields = {
        "task": task,
        "db_id": "pottery" if task == "Selector" else None,
        "question": f"Who made the {number} slowest kilns?",
        "evidence": "slowest refers to MIN(`Heat (C/h)`); maker = name",
        "schema": SCHEMA,
        "foreign_keys": KEYS,
    }
    if task == "Refiner":
        fields |= {
            "old_sql": f"SELECT makr\n  FROM kiln\n  LIMIT {number}",
            "error": "no such column: makr",
            "exception_class": "<class 'sqlite3.OperationalError'>",
        }
    return Prompt(**(fields | changes))


def answer(task: str, number: int = 1) -> str:
    if task == "Selector":
        return render_selector({"kiln": ["maker", f"c{number}"], "pot": "drop_all"})
    sql = f"{SQL}\n  LIMIT {number}"
    if task == "Refiner":
        return render_refiner(sql)
    return render_decomposer([("How slow is slow?", "SELECT 1"), (f"Who made {number}?", sql)])


def rows(count: int, *tasks: str) -> list[tuple[str, str, str]]:
    """(task, source, target) of `count` rows of each task, questions and answers all different."""
    return [
        (task, to_source(render_prompt(prompt(task, number))), answer(task, number))
        for task in tasks
        for number in range(1, count + 1)
    ]


def write_rows(path: Path, made: list[tuple[str, str, str]]) -> Path:
    lines = (
        json.dumps({"source": source, "target": target + "</s>"}) for _, source, target in made
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory) -> Path:
    """A folder with a T5-like tokenizer whose vocabulary has T5's gaps, and a config.json."""
    folder = tmp_path_factory.mktemp("model")
    letters = (
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()[]>=+-*/%&#@$_|é"
    )
    words = ["▁SELECT", "SELECT", "▁FROM", "▁kiln", "kiln", "▁WHERE", "maker", "▁question", "sql"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -9.0)]
    pieces += [(letter, -9.0) for letter in letters] + [(word, -8.0) for word in words]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), "▁"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in ("<pad>", "</s>", "<unk>")]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": 128}))
    return folder
