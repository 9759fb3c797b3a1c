"""Decoder-only models: what they read, true losses, adapters; resumed and published as others."""

import json
import shutil

import pytest
import sample_rows
import tiny_model
import torch
from conftest import Project
from safetensors.torch import load_file
from test_model_resume import stopped_at
from test_model_train import assert_losses
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.prompts import TASKS, render_prompt, to_source
from workflow_scripts.metrics.score_runs import score_runs
from workflow_scripts.model import adapters, predict
from workflow_scripts.model import train as stage
from workflow_scripts.model.adapters import check_extras, with_adapters
from workflow_scripts.model.decoding import generate
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.model.load import load_model
from workflow_scripts.model.trainer import TaskLossTrainer
from workflow_scripts.runs import DeviceFacts
from workflow_scripts.settings import Lora, ModelSettings
from workflow_scripts.tables import PREDICTIONS, SCORES, read_rows, read_table
from workflow_scripts.text.fit import RowFile, audit
from workflow_scripts.text.preprocessing import SEPARATOR, model_input

RECIPE = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12}
LORA = Lora(rank=4, alpha=8, dropout=0.1, targets=None)


def settings(recipe=None, run=None, training=None, **model):
    causal = ModelSettings(architecture="causal", **model)
    return tiny_model.settings(RECIPE | (recipe or {}), run, training, model=causal)


def reads(folder, recipe=None):
    return model_input(folder, settings(recipe).recipe)


def trained(tiny, folder, chosen, base="chat"):
    stage.train(**tiny_model.arguments(folder, tiny, chosen, base))
    return folder / "out"


def log_of(out):
    return [json.loads(line) for line in (out / "training_log.jsonl").open()]


def test_a_prompt_is_what_the_chat_template_makes_of_the_source(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny / "chat")
    ids = reads(tiny / "chat").sources(["w1 w2", "w3"])
    for source, prompt in zip(["w1 w2", "w3"], ids, strict=True):
        turn = [{"role": "user", "content": source}]
        expected = tokenizer.apply_chat_template(turn, add_generation_prompt=True)["input_ids"]
        assert prompt == expected
    # With the answer as the assistant's turn, the sequence is that of the whole conversation.
    turns = [turn[0] | {"content": "w1"}, {"role": "assistant", "content": "w7"}]
    whole = tokenizer.apply_chat_template(turns)["input_ids"]
    ours = reads(tiny / "chat")
    assert ours.sources(["w1"])[0] + ours.targets(["w7"])[0] == whole


def test_without_a_template_a_separator_follows_the_source(tiny):
    made, start = reads(tiny / "llama"), [0]
    text = AutoTokenizer.from_pretrained(tiny / "llama")
    (prompt,), (target,) = made.sources(["w1 w2"]), made.targets(["w7"])
    assert prompt[:1] == start and text.decode(prompt[1:]) == "w1 w2" + SEPARATOR
    assert text.decode(target) == "w7</s>"


@pytest.mark.parametrize("base", ["chat", "llama"])
def test_only_the_sources_own_tokens_are_cut(tiny, base):
    made = reads(tiny / base)
    long, short = "w1 " * 20, "w1 " * 8  # a token a letter: 60 and 24
    (cut, whole), (empty,) = made.sources([long, short]), made.sources([""])
    assert cut == whole and len(cut) == 24 + len(empty) == 24 + made.around_source
    assert made.unread([long, short]) == [60 - 24, 0]
    assert made.targets([long])[0][-1] == made.end and len(made.targets([long])[0]) == 16


@pytest.fixture
def roomy(tiny, tmp_path):
    """The base with the chat template, for prompts of any length."""
    folder = shutil.copytree(tiny / "chat", tmp_path / "roomy")
    config = read_json(folder / "config.json") | {"max_position_embeddings": 10**6}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_fit_audit_counts_the_template_and_finds_what_is_cut(roomy, tmp_path):
    file = sample_rows.write_rows(tmp_path / "rows.jsonl", sample_rows.rows(4, "Refiner"))
    rows = list(RowFile(file))
    prompts = reads(roomy, {"source_tokens": 10**5}).sources([row.source for row in rows])
    room = {"source_tokens": 10**4, "target_tokens": 500, "generate_tokens": 500}
    whole = audit(RowFile(file), roomy, settings(room).recipe).all
    assert whole.source_tokens.max == max(map(len, prompts))
    assert whole.target_tokens.max == max(len(row.target.encode()) for row in rows) + 1
    assert whole.sources_cut == whole.targets_cut == 0
    assert whole.distinct_inputs == whole.targets_surviving == 4
    cut = audit(RowFile(file), roomy, settings().recipe).all
    assert cut.sources_cut == cut.targets_cut == 4 and cut.distinct_inputs == 1
    assert cut.source_tokens == whole.source_tokens and cut.cut_in == {"constant part": 4}


def by_hand(folder, recipe, rows):
    """(loss sum, tokens, real loss sum, real tokens) by task: one row at a time, by definition."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    made = model_input(folder, recipe)
    sums = {task: [0.0, 0, 0.0, 0] for task in TASKS}
    for row in rows:
        (prompt,), (target,) = made.sources([row.source]), made.targets([row.target])
        padded = target + [made.pad] * (recipe.target_tokens - len(target))
        answer = padded if recipe.padding_in_loss else target
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        losses = cross_entropy(logits, torch.tensor(answer), reduction="none")
        real = losses[: len(target)]
        for place, value in enumerate((losses.sum(), len(losses), real.sum(), len(real))):
            sums[row.task][place] += float(value)
    return sums


@pytest.mark.parametrize(("base", "padding"), [("chat", False), ("chat", True), ("llama", False)])
def test_losses_of_each_task_equal_those_computed_by_hand(tiny, tmp_path, base, padding):
    """On answers alone; a learning rate of zero keeps the base model."""
    chosen = settings({"padding_in_loss": padding}, {"learning_rate": 0.0, "epochs": 1})
    out = trained(tiny, tmp_path, chosen, base)
    evaluation = next(event for event in log_of(out) if event["event"] == "epoch")
    rows = read_rows(tiny / "val.parquet")
    assert_losses(evaluation, by_hand(tiny / base, chosen.recipe, rows))


def steps_of(out):
    return [event["loss"] for event in log_of(out) if event["event"] == "step"]


def test_activations_that_are_computed_again_change_nothing(tiny, tmp_path):
    kept, again = (
        trained(tiny, tmp_path / str(each), settings(gradient_checkpointing=each))
        for each in (False, True)
    )
    assert steps_of(kept) == pytest.approx(steps_of(again), rel=1e-6)
    assert steps_of(kept)[-1] < steps_of(kept)[0]


@pytest.fixture(scope="module")
def adapted(tiny, tmp_path_factory):
    return trained(tiny, tmp_path_factory.mktemp("adapted"), settings(lora=LORA))


@pytest.mark.parametrize("lora", [None, LORA])
def test_killed_within_a_step_and_resumed_to_the_byte(tiny, adapted, tmp_path, monkeypatch, lora):
    chosen = settings(lora=lora)
    whole = adapted if lora else trained(tiny, tmp_path / "whole", chosen)
    stopped_at(9, tiny_model.arguments(tmp_path, tiny, chosen, "chat"), monkeypatch)
    assert tiny_model.contents(trained(tiny, tmp_path, chosen)) == tiny_model.contents(whole)


def test_a_run_publishes_a_whole_model_adapters_merged(tiny, adapted):
    assert sorted(path.name for path in (adapted / "model").iterdir()) == sorted(MODEL_FILES)
    facts = read_json(adapted / "provenance.json")
    assert facts["settings"]["model"]["lora"] == LORA.model_dump()
    assert "peft" in facts["versions"]
    before, after = load_file(tiny / "chat/model.safetensors"), load_model(adapted / "model")
    assert facts["model"]["parameters"] == after.num_parameters()
    linear = [name for name in before if "proj" in name]
    ranks = sum(sum(before[name].shape) * LORA.rank for name in linear)
    assert facts["model"]["trained"] == ranks < after.num_parameters()
    changed = [name for name, weight in after.state_dict().items() if name in before
               and not weight.equal(before[name])]  # fmt: skip
    assert changed == [name for name in after.state_dict() if name in linear]
    template = AutoTokenizer.from_pretrained(adapted / "model").chat_template
    assert template == tiny_model.CHAT


def test_the_merged_model_says_what_model_and_adapters_say(tiny, tmp_path, monkeypatch):
    """Before they are merged and after, of the same checkpoint, up to rounding."""
    ids = torch.tensor(reads(tiny / "chat").sources(["w1 w2 w3"]))
    seen, save = {}, TaskLossTrainer._save_checkpoint

    def saved(self, *arguments, **options):
        save(self, *arguments, **options)
        with torch.no_grad():
            seen["logits"] = self.model.eval()(ids).logits

    monkeypatch.setattr(TaskLossTrainer, "_save_checkpoint", saved)
    out = trained(tiny, tmp_path, settings(run={"epochs": 1}, lora=LORA))
    model = load_model(out / "model").eval()
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, seen["logits"], atol=1e-5)


def test_adapters_go_where_they_are_asked_to_and_nowhere_else(tiny):
    model = with_adapters(
        load_model(tiny / "chat"), LORA.model_copy(update={"targets": ["q_proj"]}), 1
    )
    names = [name for name, each in model.named_parameters() if each.requires_grad]
    assert len(names) == 4 and all("q_proj.lora" in name for name in names)
    with pytest.raises(EssenceError, match=r"model.lora.targets: Target modules .*nowhere"):
        with_adapters(
            load_model(tiny / "chat"), LORA.model_copy(update={"targets": ["nowhere"]}), 1
        )


def test_answers_are_greedy_whatever_the_batch(tiny, tmp_path):
    """Beside the model alone, a row and a token at a time, on the right side of all padding."""
    folder, made = wild(tiny, tmp_path), reads(tiny / "chat")
    model = load_model(folder).eval()
    asked = dict.fromkeys(("val", "train"), tiny / "val.parquet")
    predict.predict(
        settings(), folder, tmp_path / "p.parquet", **asked, splits=["val"], batch_size=4
    )
    lines = read_rows(tmp_path / "p.parquet", PREDICTIONS)
    rows = read_rows(tiny / "val.parquet")
    for row, line in zip(rows, lines, strict=True):
        expected = greedy(model, made.sources([row.source])[0], [], made.end)
        assert line.prediction == made.tokenizer.decode(expected, skip_special_tokens=True)
        assert line.prediction_tokens == len(expected)
        assert line.cut == (expected[-1] != made.end)
        assert line.gold_decoded == row.target[:15]
        assert line.reachable == (len(row.target) <= 12)
    assert {line.cut for line in lines} == {True, False}
    assert len({line.prediction for line in lines}) > 4


def wild(tiny, tmp_path):
    """The model with wilder weights, so that rows are answered differently, some to their end."""
    model = load_model(tiny / "chat")
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
        model.lm_head.weight[1] *= 3
    model.save_pretrained(shutil.copytree(tiny / "chat", tmp_path / "wild"))
    return tmp_path / "wild"


def greedy(model, prompt, beginning, end, limit=12):
    answer = list(beginning)
    while len(answer) < limit and answer[-1:] != [end]:
        with torch.no_grad():
            answer.append(int(model(torch.tensor([prompt + answer])).logits[0, -1].argmax()))
    return answer


def test_a_beginning_is_gone_on_with(tiny, tmp_path):
    folder, made = wild(tiny, tmp_path), reads(tiny / "chat")
    model, sources = load_model(folder).eval(), made.sources(["w1", "w2 w3", "w1"])
    beginnings = made.tokenizer(["ab", "", "c"])["input_ids"]
    answers = generate(model, sources, made.pad, 12, 8, beginnings)
    for source, beginning, answer in zip(sources, beginnings, answers, strict=True):
        assert answer == greedy(model, source, beginning, made.end)


def test_agents_can_ask_a_run_and_know_what_it_did_not_read(adapted):
    prompt = render_prompt(sample_rows.prompt("Refiner"))
    agents = FineTuned(adapted / "model", settings().recipe)
    (answer,) = agents.answer([prompt])
    assert answer.unread_tokens == len(to_source(prompt).encode()) - 24  # a token a byte
    (begun,) = agents.answer([prompt], ["SELECT"])
    assert begun.text.startswith("SELECT")


def test_a_tokenizer_that_loses_nothing_is_left_as_it_is_by_a_lossless_recipe(tiny, tmp_path):
    out = trained(tiny, tmp_path, settings({"tokenizer": "lossless"}, {"epochs": 1}))
    ours, theirs = out / "model/tokenizer.json", tiny / "chat/tokenizer.json"
    assert ours.read_bytes() == theirs.read_bytes()


def test_one_that_loses_characters_is_refused_by_it(tiny, tmp_path):
    folder = shutil.copytree(tiny / "chat", tmp_path / "gaps")
    tokenizer = read_json(folder / "tokenizer.json")
    tokenizer["model"]["vocab"].pop("w")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    recipe = settings({"tokenizer": "lossless"}).recipe
    with pytest.raises(EssenceError, match=r"cannot write this answer: 'w\d.*tokenizer to stock"):
        model_input(folder, recipe, ["w1 w2"])


def test_a_context_that_is_too_short_is_told_before_training(tiny):
    with pytest.raises(EssenceError, match=r"reads 160 tokens at most.*to \d+. Lower source_tok"):
        reads(tiny / "chat", {"source_tokens": 150})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("chat_template", "{{ raise_exception('no!') }}", r"template cannot be used \(no!\)"),
        ("eos_token", None, "no end token"),
    ],
)
def test_a_tokenizer_that_cannot_be_used(tiny, tmp_path, key, value, said):
    folder = shutil.copytree(tiny / "chat", tmp_path / "wrong")
    (folder / "chat_template.jinja").unlink()
    config = read_json(folder / "tokenizer_config.json") | {key: value}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(EssenceError, match=said):
        reads(folder)


@pytest.mark.parametrize(
    ("kind", "said"), [("cpu", "needs an NVIDIA GPU"), ("cuda", "pip install")]
)
@pytest.mark.parametrize("setting", ["load_4bit", "liger"])
def test_what_needs_a_gpu_or_a_package_says_so(setting, kind, said, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    device = DeviceFacts(kind=kind, name="made up", precision="fp32", threads=1)
    with pytest.raises(EssenceError, match=rf"model.{setting} .*{said}"):
        check_extras(ModelSettings(architecture="causal", **{setting: True}), device)
    check_extras(ModelSettings(architecture="causal"), device)


def test_what_is_not_trained_is_held_in_few_bits(tiny, monkeypatch):
    """The library's part, which needs a GPU, is left out."""
    asked = {}

    def load(folder, dtype, **options):
        asked.update(options, dtype=dtype)
        return load_model(folder, dtype)

    monkeypatch.setattr(adapters, "load_model", load)
    device = DeviceFacts(kind="cuda", name="made up", precision="bf16", threads=1)
    for load_4bit in (False, True):
        chosen = settings(lora=LORA, load_4bit=load_4bit)
        model = adapters.model_to_train(tiny / "chat", None, chosen, device)
        assert asked["dtype"] == "bfloat16" and ("quantization_config" in asked) == load_4bit
        names = [name for name, each in model.named_parameters() if each.requires_grad]
        assert names and all("lora" in name for name in names)
    config = asked["quantization_config"]
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


@pytest.mark.pipeline
def test_the_smoke_configuration_trains_and_asks_a_decoder_only_model(smoke, tmp_path):
    """One run of it, with adapters; the rows are those of the smoke project."""
    folder = smoke.copy(tmp_path / "essence").folder
    (folder / "results/origin.json").unlink()
    base = tiny_model.make_causal_base(folder / "llama", tiny_model.CHAT)
    config = read_json(base / "config.json") | {"max_position_embeddings": 2048}
    (base / "config.json").write_text(json.dumps(config))
    model = {"base": "llama", "architecture": "causal", "lora": LORA.model_dump()}
    short = {"source_tokens": 200, "target_tokens": 60, "generate_tokens": 20}
    overlay = {"model": model, "recipes": {"repaired": short}, "prediction": {"splits": ["val"]}}
    (folder / "llama.yaml").write_text(json.dumps(overlay))
    project = Project(folder, "--configfile", "configs/smoke.yaml", "llama.yaml")
    run = "results/runs/repaired/exp3_bs8_lr1e-4/seed42"
    project.snakemake("--cores", "2", f"{run}/predictions.parquet", "results/fit/repaired.json")
    facts = read_json(folder / run / "provenance.json")
    assert facts["settings"]["model"]["lora"] == LORA.model_dump() and facts["model"]["trained"]
    assert read_json(folder / "results/fit/repaired.json")["all"]["sources_cut"] > 0
    samples = (folder / "results/data/samples").glob("*/seed42/train.parquet")
    tables = [folder / f"{name}.parquet" for name in ("answers", "scores")]
    score_runs([folder / run], folder / "results/data/rows.parquet", *tables, [next(samples)])
    metrics = set(read_table(tables[1], SCORES).metric)
    assert {"exact_match", "eval_loss"} <= metrics
