"""What configs/rehearsal.yaml is made of: a model of T5-small's size, rows of the real length."""

from statistics import mean, median

import pytest
from conftest import overlaid

from tools.t5_small import t5_small
from workflow_scripts.data.rows import row_from
from workflow_scripts.data.twin.build import TwinSettings, build
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats.prompts import TASKS, compact_prompt, parse_prompt, render_own
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.records import parsed
from workflow_scripts.text.tokenizers import embedding_rows_needed, load_tokenizer, round_trips


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    t5_small(folder / "size")
    random_weights(folder / "model", folder / "size")
    return folder / "model"


def test_the_model_has_the_size_of_the_reports_to_the_byte_and_its_tokenizer_t5s_gaps(model):
    assert (model / "model.safetensors").stat().st_size == 242_041_896
    stock, lossless = (load_tokenizer(model, kind) for kind in ("stock", "lossless"))
    assert embedding_rows_needed(stock) == 32_100
    assert embedding_rows_needed(lossless) <= 32_128
    for text in ("a `b`", "{a}", "a < b", "a\nb"):
        assert round_trips(lossless, text) and not round_trips(stock, text)


def test_rows_are_as_long_as_the_real_ones(model, tmp_path):
    """Of the real answers, six in ten are longer than the 128 tokens that are generated as run."""
    given = overlaid("rehearsal.yaml")["twin"]
    fewer = {task: count // 10 for task, count in given["rows"].items()}
    build(tmp_path, parsed(TwinSettings, given | {"rows": fewer}, "twin"))
    rows = [row_from(record, 1) for record in read_jsonl(tmp_path / "rows.jsonl")]
    stock, lossless = (load_tokenizer(model, kind).encode for kind in ("stock", "lossless"))
    constant = {}
    for task in TASKS:
        sources = [row.source for row in rows if row.task == task]
        prompts = list(map(parse_prompt, sources))
        own = [len(stock(render_own(prompt))) for prompt in prompts]
        constant[task] = median(len(stock(source)) for source in sources) - median(own)
        longest = max(len(stock(compact_prompt(prompt))) for prompt in prompts)
        assert 936 < longest < 2048, "nothing that the repaired recipe cuts"
    real = {"Selector": 1176, "Decomposer": 2004, "Refiner": 312}
    assert constant == pytest.approx(real, rel=0.2)
    answers = [len(lossless(row.target)) for row in rows]
    assert 0.5 < mean(length > 128 for length in answers) < 0.7 and max(answers) < 512
