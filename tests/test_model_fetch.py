"""The base model from a look-alike hub: its files as they are there, and everything that fails."""

import io
from pathlib import Path

import pytest
import sentencepiece
import sentencepiece_model
import tiny_model
import torch
from lookalike_hub import Hub, checksum, serving
from safetensors.torch import load_file
from transformers import AutoTokenizer

from workflow_scripts.data.checksums import report_files
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, sha256
from workflow_scripts.model.fetch import FILES, SOURCE, WEIGHTS, fetch
from workflow_scripts.runs import ModelSource
from workflow_scripts.text.tokenizers import load_tokenizer

NAME = report_files().base_model.name


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> dict[str, bytes]:
    """The files of `main`."""
    folder = tmp_path_factory.mktemp("repository")
    return sentencepiece_model.model_files(folder)


def weights_of(files: dict[str, bytes]) -> dict[str, torch.Tensor]:
    return torch.load(io.BytesIO(files["pytorch_model.bin"]), weights_only=True)


@pytest.fixture
def hub(repository, tmp_path, monkeypatch):
    with serving(Hub(NAME, {"main": repository})) as running:
        running.use(monkeypatch, tmp_path / "cache")
        yield running


def refused(hub: Hub, out: Path, revision: str = "main", sha256: str | None = None) -> str:
    """The message, which is one line; nothing half-written is left, in `out` or in the cache."""
    with pytest.raises(EssenceError) as caught:
        fetch(hub.name, revision, out, sha256)
    message = str(caught.value)
    assert "\n" not in message
    assert not out.exists() or list(out.iterdir()) == []
    assert list(out.parent.rglob("*.incomplete")) == []
    return message


def test_what_the_repository_lacks_is_made(hub, repository, tmp_path, capsys):
    out = tmp_path / "out"
    fetch(NAME, "main", out)
    said, commit = capsys.readouterr().out, hub.commit()
    assert f"{NAME} at {commit}" in said and "pytorch_model.bin" in said
    missing = [WEIGHTS, "generation_config.json", "tokenizer.json"]
    assert f"lacks them: {', '.join(missing)}" in said
    assert "Not the report's: model.safetensors has sha256" in said
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, SOURCE])
    source = ModelSource.read(out / SOURCE)
    assert (source.name, source.commit, source.made) == (NAME, commit, missing)
    assert source.downloaded["pytorch_model.bin"] == checksum(repository["pytorch_model.bin"])

    made, weights = load_file(out / WEIGHTS), weights_of(repository)
    assert made and all(tensor.equal(weights[name]) for name, tensor in made.items())
    assert read_json(out / "generation_config.json")["pad_token_id"] == 0
    pieces = sentencepiece.SentencePieceProcessor(model_proto=repository["spiece.model"])
    tokenizer = load_tokenizer(out, "stock")
    for text in ("SELECT name FROM kiln", "which  kilns\n{are} `there`?", "é, ﬁ"):
        assert tokenizer.encode(text) == [*pieces.encode(text), 1]


def test_a_commit_is_found_by_its_first_digits(hub, tmp_path):
    fetch(hub.name, hub.commit()[:7], tmp_path / "out")
    assert ModelSource.read(tmp_path / "out" / SOURCE).commit == hub.commit()
    message = refused(hub, tmp_path / "none", "abcdef0")
    assert f"could not get {NAME} at abcdef0 (" in message and "Revision Not Found" in message


def test_a_checksum_is_compared_with_download_and_conversion(hub, repository, tmp_path):
    """And converting gives the same bytes each time."""
    out = tmp_path / "out"
    fetch(hub.name, "main", out)
    before = tiny_model.contents(out)
    download, made = checksum(repository["pytorch_model.bin"]), sha256(out / WEIGHTS)
    for right in (download, made):
        fetch(hub.name, "main", out, right)
        assert tiny_model.contents(out) == before
    message = refused(hub, tmp_path / "no", "main", "0" * 64)
    assert f"pytorch_model.bin as downloaded has {download} and" in message
    assert f"{WEIGHTS} as converted has {made}, not 0000" in message
    assert "set model.sha256 to what they have, or to null" in message


def test_a_whole_model_is_taken_as_it_is_once_it_comes_undamaged(tmp_path, monkeypatch):
    """It lacks nothing, so that nothing is converted; its template stands in a file of its own."""
    folder = tiny_model.make_causal_base(tmp_path / "whole", tiny_model.CHAT)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"chat_template" not in files["tokenizer_config.json"]
    out = tmp_path / "out"
    with serving(Hub("some/model", {"main": files}, damaged=True)) as hub:
        hub.use(monkeypatch, tmp_path / "cache")
        message = refused(hub, out)
        assert "some/model: model.safetensors came damaged" in message
        assert "Run the same command again" in message
        hub.damaged = False
        fetch(hub.name, "main", out, checksum(files[WEIGHTS]))
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, SOURCE])
    assert sha256(out / WEIGHTS) == checksum(files[WEIGHTS])
    assert ModelSource.read(out / SOURCE).made == []
    assert AutoTokenizer.from_pretrained(out).chat_template == tiny_model.CHAT


def test_a_hub_that_is_not_there_and_weights_that_are_none(hub, repository, tmp_path, monkeypatch):
    hub.revisions["main"] = repository | {"pytorch_model.bin": b"no weights at all"}
    assert "transformers cannot read it" in refused(hub, tmp_path / "out")
    nowhere = Hub("some/model", {})
    nowhere.use(monkeypatch, tmp_path / "cache")
    assert "set model.base to a folder" in refused(nowhere, tmp_path / "out")
