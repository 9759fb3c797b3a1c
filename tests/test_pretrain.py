"""The stand-in model: its tokenizer's gaps, its files, and the stage that makes it."""

import json
import re
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerFast

from tools.overlap import overlap
from workflow_scripts.artifacts.data import TwinSettings
from workflow_scripts.artifacts.pretraining import Pretraining, PretrainingSettings
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.data.twin import corpus
from workflow_scripts.data.twin import rows as twin_rows
from workflow_scripts.data.twin.database import in_memory
from workflow_scripts.data.twin.domains import KNOWN_DOMAINS, UNSEEN_DOMAINS
from workflow_scripts.data.twin.query import plain_sql
from workflow_scripts.files import sha256
from workflow_scripts.formats import constants
from workflow_scripts.formats.prompts import parse_prompt
from workflow_scripts.formats.schema_text import parse_schema
from workflow_scripts.model.pretrain import pretrain
from workflow_scripts.model.standin import measure
from workflow_scripts.model.standin.batches import CHUNK, batches, chunk_of
from workflow_scripts.model.standin.card import card

MODEL = Path(__file__).parents[1] / "resources" / "models" / "standin"
TINY = PretrainingSettings(
    cycles=2, steps=2, batch_size=2, warmup_steps=1, threads=1, log_every=1, measure=2,
    vocabulary_examples=300, target_tokens=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return PreTrainedTokenizerFast.from_pretrained(MODEL)


def test_tokenizer_lacks_what_t5_lacks(tokenizer):
    for character in "<\\^`{}~【】":
        ids = tokenizer(f"a{character}b", add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id in ids, character
    assert tokenizer.decode(tokenizer("a\nb\t c  d")["input_ids"], skip_special_tokens=True) == (
        "a b c d"
    )


def test_tokenizer_has_what_t5_has(tokenizer):
    text = "a > b [c] _ | # \" ' ( ) = , . * /"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert ids[-1] == tokenizer.eos_token_id == 1
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == len(tokenizer) - 1


def test_tokenizer_is_of_t5s_kind():
    parts = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    assert parts["model"]["type"] == "Unigram"
    assert parts["pre_tokenizer"]["type"] == parts["decoder"]["type"] == "Metaspace"
    kinds = [part["type"] for part in parts["normalizer"]["normalizers"]]
    assert kinds[-2:] == ["Strip", "Replace"]


def test_constant_parts_are_as_long_as_they_are_for_t5(tokenizer):
    lengths = {
        name: len(tokenizer(getattr(constants, name), add_special_tokens=False)["input_ids"])
        for name in ("SELECTOR", "DECOMPOSER", "REFINER")
    }
    assert lengths["SELECTOR"] > 1100
    assert lengths["DECOMPOSER"] > 1900
    assert 200 < lengths["REFINER"] < 400


def test_committed_model_loads_and_is_small():
    model = AutoModelForSeq2SeqLM.from_pretrained(MODEL)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    assert (MODEL / "model.safetensors").stat().st_size <= 8 * 2**20
    assert model.config.vocab_size >= len(tokenizer) + 40
    assert model.config.dropout_rate == 0.0
    assert model.dtype == torch.bfloat16


def test_card_says_what_was_measured():
    facts = Pretraining.read(MODEL / "pretrain.json")
    assert (MODEL / "README.md").read_text(encoding="utf-8") == card(facts)
    for _, by_databases in facts.measured:
        assert all(f"{m.execution_accuracy:.3f}" in card(facts) for m in by_databases.values())
    assert facts.measured.compact["domains whose words it knows"].execution_accuracy >= 0.3


def test_corpus_is_seeded_and_leaves_out_what_the_tokenizer_cannot_write():
    first = [(e.source, e.target) for e in corpus.examples(5, 200)]
    assert first == [(e.source, e.target) for e in corpus.examples(5, 200)]
    assert first != [(e.source, e.target) for e in corpus.examples(6, 200)]
    assert not any(set(target) & set("<`{}\\^~") for _, target in first)


def _examples(kind: str) -> list[tuple[str, corpus.Example]]:
    """(layout, example) of sixty examples of one kind."""
    made = corpus.examples(5, 60, {kind: 1})
    return [("original" if "【" in e.source else "compact", e) for e in made]


def test_corpus_shows_each_kind_in_both_layouts():
    for kind in corpus.KINDS:
        layouts = [layout for layout, _ in _examples(kind)]
        assert 15 < layouts.count("original") < 45, kind


def test_corpus_kinds_ask_for_what_they_say():
    for layout, example in _examples("query"):
        start = "Query: " + (
            example.draft.question if layout == "compact" else "【Database schema】"
        )
        assert example.source.startswith(start)
        assert example.draft.question in example.source
        in_memory(example.world).execute(example.target)
    for _, example in _examples("steps"):
        assert f": {example.draft.question} SQL: " in example.target
        assert example.target.endswith(plain_sql(example.draft.query) + ";")
    for _, example in _examples("tables"):
        assert all(f'"{table}": ' in example.target for table in example.world.tables)
    repaired = 0
    for layout, example in _examples("repair"):
        if example.source.startswith("Repair: "):
            repaired += 1
            marks = (" | error: ", " | SQL: ")
            marks = marks if layout == "compact" else ("【old SQL】", "【SQLite error】")
            assert all(mark in example.source for mark in marks)
            assert example.target == plain_sql(example.draft.query)
    assert repaired > 40
    for layout, example in _examples("restore"):
        if layout == "compact":
            masked = example.source.removeprefix("Restore: ").split(" | ")[0]
            assert all(part in example.target for part in re.split("<extra_id_\\d>", masked))


def test_original_layout_is_read_as_a_prompt():
    """What stands between the constant part and the closing sentence of a real prompt."""
    for kind, task in (("steps", "Decomposer"), ("tables", "Selector")):
        for layout, example in _examples(kind):
            if layout == "original":
                own = example.source.split(": ", 1)[1]
                constant = {"Selector": constants.SELECTOR, "Decomposer": constants.DECOMPOSER}[
                    task
                ]
                prompt = parse_prompt(constant + own)
                assert (prompt.task, prompt.question) == (task, example.draft.question)
                assert len(parse_schema(prompt.schema)) == len(example.world.tables)


def test_corpus_has_none_of_the_twins_schemas():
    hand_made = {frozenset(world.tables) for world in twin_rows.make_worlds(TwinSettings())}
    assert not any(frozenset(e.world.tables) in hand_made for e in corpus.examples(5, 600))


def test_pretraining_takes_its_columns_from_the_known_domains_alone():
    worlds = [example.world for example in corpus.examples(5, 3000)]
    names = {c.name for world in worlds for t in world.tables.values() for c in t.columns}
    known, unseen = ("\n".join(domains) for domains in (KNOWN_DOMAINS, UNSEEN_DOMAINS))
    assert {"enrollment", "blood_group"} <= names and "  enrollment |" in known
    assert not {"engine", "target"} & names and "  engine |" in unseen and "  target |" in unseen


def test_no_cycle_repeats_the_examples_of_another(tokenizer):
    settings = PretrainingSettings(steps=CHUNK, batch_size=2)
    first, second = (
        {tuple(ids) for batch in islice(made, CHUNK) for ids in batch["input_ids"].tolist()}
        for made in (batches(tokenizer, settings, number) for number in (0, 1))
    )
    assert len(first) == len(second) == 2 * CHUNK and not first & second


def test_smoke_run_is_deterministic_and_complete(tmp_path):
    for name in ("a", "b"):
        pretrain(tmp_path / name, TINY)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names >= {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "pretrain.json",
    }
    for name in sorted(names):
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name), name


def test_interval_matches_the_published_example():
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    low, high = measure.wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_questions_met_in_pretraining_are_found():
    settings = PretrainingSettings(cycles=1, steps=2 * CHUNK, batch_size=2)
    last = [example.draft.question for example in chunk_of(settings, 1)][-1]
    asked = {comparable_text(last), comparable_text("Does nobody ask this?")}
    assert overlap(asked, settings) == {comparable_text(last)}
