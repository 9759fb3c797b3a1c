"""Download a base model from the model hub, at one revision, into a folder of our own.

A model whose files there have another form (weights in parts or as pytorch_model.bin, no
tokenizer.json) is downloaded whole and converted.
"""

import contextlib
import shutil
from pathlib import Path
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json, written_whole
from workflow_scripts.files import sha256 as sha256_of
from workflow_scripts.stage import Setting, run_stage

FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
TEMPLATE = "chat_template.jinja"  # where it is not in tokenizer_config.json
# What models of other forms consist of, weights aside.
OTHER_FILES = ("*.json", "*.model", "merges.txt", "vocab.txt", TEMPLATE)


def fetch(
    name: Annotated[str, Setting("name on the hub, such as owner/model")],
    revision: Annotated[str, Setting("commit, tag or branch")],
    out: Annotated[Path, Setting("folder for the files")],
    sha256: Annotated[
        str | None, Setting("checksum that the file of the weights must have")
    ] = None,
) -> None:
    """Raises EssenceError when the hub lacks the model or the revision, or has other weights."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        try:
            take(name, revision, out, sha256)
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):
                raise  # not here, and whether on the hub is not known
            take_converted(name, revision, out, sha256)
    except EssenceError:
        raise
    except Exception as error:  # the hub's errors have no common base class
        raise EssenceError(
            f"model.base: could not get {name} at {revision} ({error}). On a machine without "
            f"network, put the files into {out} by hand ({', '.join(FILES)}), or set model.base "
            "to a folder that has them."
        ) from error


def take(name: str, revision: str, out: Path, sha256: str | None) -> None:
    """The files as they are on the hub; a chat template goes into the tokenizer's configuration.

    Raises the hub's EntryNotFoundError when one of the files is not there.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    for file in FILES:
        cached = hf_hub_download(name, file, revision=revision)
        if file == "model.safetensors":
            check([Path(cached)], sha256, f"{name} at {revision}")
        with written_whole(out / file) as temporary:
            shutil.copyfile(cached, temporary)
        print(f"{file}: {(out / file).stat().st_size / 1e6:.1f} MB", flush=True)
    with contextlib.suppress(EntryNotFoundError):
        template = Path(hf_hub_download(name, TEMPLATE, revision=revision))
        own = read_json(out / "tokenizer_config.json")
        write_json(out / "tokenizer_config.json", own | {"chat_template": template.read_text()})


def take_converted(name: str, revision: str, out: Path, sha256: str | None) -> None:
    """The model in the form of `FILES`, made of whatever form it has on the hub."""
    from huggingface_hub import HfApi, snapshot_download

    from workflow_scripts.model.convert import convert

    there = [file for file in HfApi().list_repo_files(name, revision=revision) if "/" not in file]
    safe = any(file.endswith(".safetensors") for file in there)
    weights = "*.safetensors" if safe else "pytorch_model*.bin"
    taken = [*OTHER_FILES, weights]
    found = snapshot_download(name, revision=revision, allow_patterns=taken, ignore_patterns="*/*")
    check(sorted(Path(found).glob(weights)), sha256, f"{name} at {revision}")
    convert(Path(found), out)


def check(weights: list[Path], sha256: str | None, name: str) -> None:
    """Raise EssenceError unless the weights are one file with the checksum, if there is one."""
    if not sha256:
        return
    if len(weights) != 1:
        raise EssenceError(
            f"model.sha256: the weights of {name} are {len(weights)} files. Set model.sha256 to "
            "null, and model.revision to a commit, which stands for their content."
        )
    if (found := sha256_of(weights[0])) != sha256:
        raise EssenceError(
            f"model.sha256: {name} has weights {found}, not {sha256}. Name the revision that has "
            "them, or set model.sha256 to null to take these."
        )


if __name__ == "__main__":
    run_stage(fetch)
