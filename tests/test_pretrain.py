"""The stand-in model: what it was not trained on, and the tool that makes it."""

from pathlib import Path

from tools.pretrain import corpus
from tools.pretrain.__main__ import Settings, pretrain
from tools.twin.worlds import KNOWN_DOMAINS, UNSEEN_DOMAINS, make_worlds
from workflow_scripts.files import read_json, sha256

MODEL = Path(__file__).parents[1] / "resources" / "models" / "standin"
TINY = Settings(
    cycles=2, steps=2, batch_size=2, warmup_steps=1, threads=1, log_every=1, measure=2,
    vocabulary_examples=300, target_tokens=10,
)  # fmt: skip


def test_the_corpus_has_none_of_the_twins_schemas_and_columns_of_known_domains_alone():
    worlds = [example.world for example in corpus.examples(5, 3000)]
    hand_made = {frozenset(world.tables) for world in make_worlds(seed=7)}
    assert not any(frozenset(world.tables) in hand_made for world in worlds)
    names = {c.name for world in worlds for t in world.tables.values() for c in t.columns}
    known, unseen = ("\n".join(domains) for domains in (KNOWN_DOMAINS, UNSEEN_DOMAINS))
    assert {"enrollment", "blood_group"} <= names and "  enrollment |" in known
    assert not {"engine", "target"} & names and "  engine |" in unseen and "  target |" in unseen


def test_equal_runs_give_equal_files_those_that_ship(tmp_path):
    for name in ("a", "b"):
        pretrain(tmp_path / name, TINY)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {path.name for path in MODEL.iterdir()} - {"README.md"}
    for name in sorted(names):
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name), name
    made, shipped = (read_json(each / "pretrain.json") for each in (tmp_path / "a", MODEL))
    assert [line["step"] for line in made["history"]] == [1, 2, 3, 4]
    assert made.keys() == shipped.keys() and made["measured"].keys() == shipped["measured"].keys()
