"""The stand-in model: its tokenizer's gaps, its files, and the tool that makes it."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from tools.pretrain import corpus
from tools.pretrain.__main__ import Settings, pretrain
from tools.pretrain.layouts import in_line
from workflow_scripts.data.twin.worlds import KNOWN_DOMAINS, UNSEEN_DOMAINS, in_memory, make_worlds
from workflow_scripts.files import read_json, sha256
from workflow_scripts.formats.prompts import CONSTANT, TASKS, parse_prompt
from workflow_scripts.formats.schema import parse_schema

MODEL = Path(__file__).parents[1] / "resources" / "models" / "standin"
TINY = Settings(
    cycles=2, steps=2, batch_size=2, warmup_steps=1, threads=1, log_every=1, measure=2,
    vocabulary_examples=300, target_tokens=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return PreTrainedTokenizerFast.from_pretrained(MODEL)


def test_the_tokenizer_has_and_lacks_what_t5_has_and_lacks(tokenizer):
    for character in "<\\^`{}~【】":
        ids = tokenizer(f"a{character}b", add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id in ids, character
    folded = tokenizer.decode(tokenizer("a\nb\t c  d")["input_ids"], skip_special_tokens=True)
    assert folded == "a b c d"
    text = "a > b [c] _ | # \" ' ( ) = , . * /"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert ids[-1] == tokenizer.eos_token_id == 1
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == len(tokenizer) - 1


def test_constant_parts_are_as_long_as_they_are_for_t5(tokenizer):
    lengths = [
        len(tokenizer(CONSTANT[task], add_special_tokens=False)["input_ids"]) for task in TASKS
    ]
    assert lengths[0] > 1100 and lengths[1] > 1900 and 200 < lengths[2] < 400


def test_the_model_that_ships_loads_and_is_small(tokenizer):
    model = AutoModelForSeq2SeqLM.from_pretrained(MODEL)
    assert (MODEL / "model.safetensors").stat().st_size <= 8 * 2**20
    assert model.config.vocab_size >= len(tokenizer) + 40
    assert model.config.dropout_rate == 0.0 and model.dtype == torch.bfloat16


def test_card_says_how_it_was_made_and_what_was_measured():
    card, facts = (MODEL / "README.md").read_text(), read_json(MODEL / "pretrain.json")
    for name in ("parameters", "tokens", "embedding_rows", "examples"):
        assert f"{facts[name]:,}" in card, name
    assert f"The last loss is {facts['history'][-1]['loss']} " in card
    for kind, share in corpus.KINDS.items():
        assert f"| `{kind}` | {share:.0%} |" in card
    for layout, groups in facts["measured"].items():
        for group, each in groups.items():
            shares = "{execution_accuracy:.3f} | {low:.3f} to {high:.3f} | {exact_match:.3f} |"
            assert f"| {layout} | {group} | {each['n']} | {shares.format(**each)}" in card
    assert Settings.model_validate(facts["settings"]) == Settings()


def test_corpus_is_seeded_and_leaves_out_what_the_tokenizer_cannot_write():
    first = [(e.source, e.target) for e in corpus.examples(5, 200)]
    assert first == [(e.source, e.target) for e in corpus.examples(5, 200)]
    assert first != [(e.source, e.target) for e in corpus.examples(6, 200)]
    assert not any(set(target) & set("<`{}\\^~") for _, target in first)


def _examples(kind: str) -> list[tuple[str, corpus.Example]]:
    """(layout, example) of sixty examples of one kind."""
    made = corpus.examples(5, 60, {kind: 1})
    return [("original" if "【" in e.source else "compact", e) for e in made]


def test_the_corpus_asks_for_sql_that_runs():
    for layout, example in _examples("query"):
        start = example.draft.question if layout == "compact" else "【Database schema】"
        assert example.source.startswith(f"Query: {start}")
        assert example.draft.question in example.source
        in_memory(example.world).execute(example.target)
    for _, example in _examples("steps"):
        assert f": {example.draft.question} SQL: " in example.target
        assert example.target.endswith(in_line(example.draft.sql) + ";")
    for _, example in _examples("tables"):
        assert all(f'"{table}": ' in example.target for table in example.world.tables)


def test_both_layouts_are_shown_and_the_original_one_is_read_as_a_prompt():
    """What stands between the constant part and the closing sentence of a real prompt."""
    for kind in corpus.KINDS:
        originals = [example for layout, example in _examples(kind) if layout == "original"]
        assert 15 < len(originals) < 45, kind
        task = {"steps": "Decomposer", "tables": "Selector"}.get(kind)
        for example in originals if task else ():
            prompt = parse_prompt(CONSTANT[task] + example.source.split(": ", 1)[1])
            assert (prompt.task, prompt.question) == (task, example.draft.question)
            assert len(parse_schema(prompt.schema)) == len(example.world.tables)


def test_the_corpus_has_none_of_the_twins_schemas_and_columns_of_known_domains_alone():
    worlds = [example.world for example in corpus.examples(5, 3000)]
    hand_made = {frozenset(world.tables) for world in make_worlds(seed=7)}
    assert not any(frozenset(world.tables) in hand_made for world in worlds)
    names = {c.name for world in worlds for t in world.tables.values() for c in t.columns}
    known, unseen = ("\n".join(domains) for domains in (KNOWN_DOMAINS, UNSEEN_DOMAINS))
    assert {"enrollment", "blood_group"} <= names and "  enrollment |" in known
    assert not {"engine", "target"} & names and "  engine |" in unseen and "  target |" in unseen


def test_tiny_run_is_deterministic_and_as_the_one_that_ships(tmp_path):
    for name in ("a", "b"):
        pretrain(tmp_path / name, TINY)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {path.name for path in MODEL.iterdir()} - {"README.md"}
    for name in sorted(names):
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name), name
    made, shipped = read_json(tmp_path / "a/pretrain.json"), read_json(MODEL / "pretrain.json")
    assert [line["step"] for line in made["history"]] == [1, 2, 3, 4]
    assert made.keys() == shipped.keys() and made["measured"].keys() == shipped["measured"].keys()
    parts, shipped_parts = (json.loads((each / "tokenizer.json").read_text())
                            for each in (tmp_path / "a", MODEL))  # fmt: skip
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        assert parts[part] == shipped_parts[part]
    assert parts["model"]["type"] == "Unigram"
