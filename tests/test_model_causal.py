"""Decoder-only models: what they read, adapters; resumed, published and asked as others."""

import json
import re
import shutil
import subprocess
import sys
from itertools import product

import pytest
import sample_rows
import tiny_model
from safetensors.torch import load_file
from test_model_resume import stopped_at
from transformers import AutoTokenizer

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model import train as stage
from workflow_scripts.model.adapters import with_adapters
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.model.load import load_model
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.report.export import export
from workflow_scripts.settings import Lora, ModelSettings
from workflow_scripts.tables import PREDICTIONS, SCORES, read_rows, write_table
from workflow_scripts.text.fit import RowFile, audit
from workflow_scripts.text.preprocessing import SEPARATOR, model_input

RECIPE = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12}
LORA = Lora(rank=4, alpha=8, dropout=0.1, targets=None)


def settings(recipe=None, run=None, **model):
    causal = ModelSettings(architecture="causal", **model)
    return tiny_model.settings(RECIPE | (recipe or {}), run, model=causal)


def reads(folder, recipe=None):
    return model_input(folder, settings(recipe).recipe)


def trained(tiny, folder, chosen, base="chat"):
    stage.train(**tiny_model.arguments(folder, tiny, chosen, base))
    return folder / "out"


def edit(file, **changes):
    file.write_text(json.dumps(read_json(file) | changes))


def test_a_prompt_is_what_the_chat_template_makes_of_the_source(tiny):
    tokenizer, ours = AutoTokenizer.from_pretrained(tiny / "chat"), reads(tiny / "chat")
    for source, prompt in zip(["w1 w2", "w1"], ours.sources(["w1 w2", "w1"]), strict=True):
        turn = [{"role": "user", "content": source}]
        expected = tokenizer.apply_chat_template(turn, add_generation_prompt=True)["input_ids"]
        assert prompt == expected
    # With the answer as the assistant's turn, the sequence is that of the whole conversation.
    turns = [*turn, {"role": "assistant", "content": "w7"}]
    whole = tokenizer.apply_chat_template(turns)["input_ids"]
    assert ours.sources(["w1"])[0] + ours.targets(["w7"])[0] == whole


def test_without_a_template_a_separator_follows_the_source(tiny):
    made, text = reads(tiny / "llama"), AutoTokenizer.from_pretrained(tiny / "llama")
    (prompt,), (target,) = made.sources(["w1 w2"]), made.targets(["w7"])
    assert prompt[:1] == [0] and text.decode(prompt[1:]) == "w1 w2" + SEPARATOR
    assert text.decode(target) == "w7</s>"


@pytest.mark.parametrize("base", ["chat", "llama"])
def test_only_the_sources_own_tokens_are_cut(tiny, base):
    made = reads(tiny / base)
    long, short = "w1 " * 20, "w1 " * 8  # a token a letter: 60 and 24
    (cut, whole), (empty,) = made.sources([long, short]), made.sources([""])
    assert cut == whole and len(cut) == 24 + len(empty) == 24 + made.around_source
    assert made.unread([long, short]) == [60 - 24, 0]
    assert made.targets([long])[0][-1] == made.end and len(made.targets([long])[0]) == 16


def test_the_fit_audit_counts_the_template_and_finds_what_is_cut(tiny, tmp_path):
    roomy = shutil.copytree(tiny / "chat", tmp_path / "roomy")
    edit(roomy / "config.json", max_position_embeddings=10**6)
    file = RowFile(sample_rows.write(tmp_path / "rows", sample_rows.rows(4, "Refiner")))
    room = {"source_tokens": 10**4, "target_tokens": 500, "generate_tokens": 500}
    prompts = reads(roomy, room).sources([row.source for row in file])
    whole = audit(file, roomy, settings(room).recipe).all
    assert whole.source_tokens.max == max(map(len, prompts))
    assert whole.sources_cut == 0 and whole.distinct_inputs == whole.targets_surviving == 4
    cut = audit(file, roomy, settings().recipe).all
    assert cut.sources_cut == cut.targets_cut == 4 and cut.cut_in == {"constant part": 4}


def test_activations_that_are_computed_again_change_nothing(tiny, tmp_path):
    losses = []
    for again in (False, True):
        out = trained(tiny, tmp_path / str(again), settings(gradient_checkpointing=again))
        log = map(json.loads, (out / "training_log.jsonl").open())
        losses.append([event["loss"] for event in log if event["event"] == "step"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) and losses[0][-1] < losses[0][0]


@pytest.fixture(scope="module")
def adapted(tiny, tmp_path_factory):
    return trained(tiny, tmp_path_factory.mktemp("adapted"), settings(lora=LORA))


def test_killed_within_a_step_and_resumed_to_the_byte(tiny, adapted, tmp_path, monkeypatch):
    chosen = settings(lora=LORA)
    stopped_at(9, tiny_model.arguments(tmp_path, tiny, chosen, "chat"), monkeypatch)
    assert tiny_model.contents(trained(tiny, tmp_path, chosen)) == tiny_model.contents(adapted)


def test_a_run_publishes_a_whole_model_adapters_merged(tiny, adapted):
    assert sorted(path.name for path in (adapted / "model").iterdir()) == sorted(MODEL_FILES)
    facts = read_json(adapted / "provenance.json")
    assert facts["settings"]["model"]["lora"] == LORA.model_dump()
    before, after = load_file(tiny / "chat/model.safetensors"), load_model(adapted / "model")
    linear = [name for name in before if "proj" in name]
    ranks = sum(sum(before[name].shape) * LORA.rank for name in linear)
    assert facts["model"]["trained"] == ranks < facts["model"]["parameters"]
    weights = after.state_dict()
    assert {name for name in before if not weights[name].equal(before[name])} == set(linear)


def test_adapters_go_where_they_are_asked_to_and_nowhere_else(tiny):
    targets = LORA.model_copy(update={"targets": ["q_proj"]})
    model = with_adapters(load_model(tiny / "chat"), targets, 1)
    names = [name for name, each in model.named_parameters() if each.requires_grad]
    assert len(names) == 4 and all("q_proj.lora" in name for name in names)
    targets = LORA.model_copy(update={"targets": ["nowhere"]})
    with pytest.raises(EssenceError, match=r"model.lora.targets: Target modules .*nowhere"):
        with_adapters(load_model(tiny / "chat"), targets, 1)


def test_exported_runs_answer_as_here_by_the_code_of_their_cards(tiny, adapted, tmp_path):
    """Adapters without the model that they belong to, all weights without a chat template."""
    whole, rows = trained(tiny, tmp_path, settings(), "llama"), read_rows(tiny / "val.parquet")
    source = {"file": {"name": "made up", "sha256": "0" * 64}, "rows": len(rows)}
    scores, predictions = tmp_path / "scores.parquet", tmp_path / "predictions.parquet"
    write_table(scores, [], SCORES)
    code, possible = "import os\n", []
    for run, library, weights in (
        (adapted, "peft", "adapter_model.safetensors"),
        (whole, "transformers", "model.safetensors"),
    ):
        out = tmp_path / library
        answers = answer_rows(load_model(run / "model"), reads(run / "model"), {"val": rows}, 8)
        write_table(predictions, answers, PREDICTIONS)
        export(run, scores, source, tiny / "val.parquet", predictions, out / "README.md")
        assert [path.name for path in out.glob("*.safetensors")] == [weights]
        card = (out / "README.md").read_text()
        assert f"library_name: {library}" in card
        (shown,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        code += f"os.chdir({str(out)!r})\n{shown}"
        said = [each.prediction for each in answers]
        possible.append([each + "\n" for each in said if f"~~~~text\n{each}\n~~~~" in card])
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout in map("".join, product(*possible))


def tokenizer_without_w(folder):
    tokenizer = read_json(folder / "tokenizer.json")
    tokenizer["model"]["vocab"].pop("w")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def with_settings(**changes):
    def change(folder):
        (folder / "chat_template.jinja").unlink()
        edit(folder / "tokenizer_config.json", **changes)

    return change


@pytest.mark.parametrize(
    ("spoil", "recipe", "said"),
    [
        (with_settings(chat_template="{{ raise_exception('no!') }}"), {}, r"used \(no!\)"),
        (with_settings(eos_token=None), {}, "no end token"),
        (None, {"source_tokens": 150}, r"reads 160 tokens at most.*to \d+. Lower source_tok"),
        (tokenizer_without_w, {"tokenizer": "lossless"}, "cannot write this answer: 'w1 w2.*stock"),
    ],
)
def test_what_cannot_be_used_is_said_before_training(tiny, tmp_path, spoil, recipe, said):
    folder = shutil.copytree(tiny / "chat", tmp_path / "wrong")
    if spoil:
        spoil(folder)
    with pytest.raises(EssenceError, match=said):
        model_input(folder, settings(recipe).recipe, ["w1 w2"])
