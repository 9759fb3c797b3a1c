"""Download a base model from the model hub, at one commit, into a folder of our own.

    python -m workflow_scripts.model.fetch --name owner/model --revision main --out models/mine

What the repository lacks of the five files of a model is made from what it has: its weights as
model.safetensors, the fast tokenizer, the settings of generation. `source.json` beside them says
which commit they are of, and which files were made.
"""

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

from workflow_scripts.data.checksums import report_files
from workflow_scripts.errors import EssenceError, one_line
from workflow_scripts.files import read_json, write_json
from workflow_scripts.files import sha256 as sha256_of
from workflow_scripts.model.saving import published, save_model
from workflow_scripts.runs import ModelSource
from workflow_scripts.stage import Setting, run_stage

WEIGHTS = "model.safetensors"
FILES = (
    WEIGHTS,
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
SOURCE = "source.json"
TEMPLATE = "chat_template.jinja"  # where it is not in tokenizer_config.json
# What models of other forms consist of, weights aside.
OTHER_FILES = ("*.json", "*.model", "merges.txt", "vocab.txt", TEMPLATE)


def fetch(
    name: Annotated[str, Setting("name on the hub, such as owner/model")],
    revision: Annotated[str, Setting("commit (in full or its first seven digits), tag or branch")],
    out: Annotated[Path, Setting("folder for the files")],
    sha256: Annotated[
        str | None, Setting("checksum that the weights must have, as downloaded or converted")
    ] = None,
) -> None:
    """Raises EssenceError when the hub lacks the model or the revision, or has other weights."""
    commit, files = download(name, revision)
    sizes = ", ".join(f"{file} ({path.stat().st_size:,} bytes)" for file, path in files.items())
    print(f"{name} at {commit}: {sizes}", flush=True)
    checksums = {file: sha256_of(path) for file, path in files.items()}
    missing = [file for file in FILES if file not in files]
    with published(out) as stage:
        if missing:
            from workflow_scripts.model.convert import read_model

            print(f"Made here, as the repository lacks them: {', '.join(missing)}", flush=True)
            save_model(*read_model(next(iter(files.values())).parent), stage)
        else:
            copy_model(files, stage)
        made = sha256_of(stage / WEIGHTS)
        check_weights(f"{name} at {commit}", checksums, made, sha256)
        known = report_files().base_model
        sentence = None
        if name == known.name:
            sentence = (
                f"These are the report's weights: {WEIGHTS} has sha256 {made}."
                if made == known.sha256
                else f"Not the report's: {WEIGHTS} has sha256 {made}, the report's {known.sha256}."
            )
        print(sentence or f"sha256 of {WEIGHTS}: {made}", flush=True)
        ModelSource(
            name=name, commit=commit, downloaded=checksums, made=missing, sentence=sentence
        ).write(stage / SOURCE)


def download(name: str, revision: str) -> tuple[str, dict[str, Path]]:
    """The full id of the commit, and the model's files at it: name -> path in the hub's cache.

    Raises EssenceError when the hub cannot be reached, refuses, or sends damaged files.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        commit = commit_of(name, revision)
        listing = HfApi().list_repo_tree(name, revision=commit)
        listed = {entry.path: entry for entry in listing if isinstance(entry, RepoFile)}
        # A model's weights in one form only.
        safe = any(fnmatch(file, "model*.safetensors") for file in listed)
        wanted = (*OTHER_FILES, "model*.safetensors" if safe else "pytorch_model*.bin")
        taken = [file for file in listed if any(fnmatch(file, pattern) for pattern in wanted)]
        if not taken:
            raise ValueError("the repository has no file of a model")
        folder = Path(snapshot_download(name, revision=commit, allow_patterns=taken))
    except Exception as error:  # the hub's errors have no common base class
        not_cached = isinstance(error, LocalEntryNotFoundError)
        reason = one_line(error.__cause__ if not_cached and error.__cause__ else error)
        raise EssenceError(
            f"model.base: could not get {name} at {revision} ({reason}). Try again later; "
            "or run `snakemake fetch_base_model` with the same options on a machine with network "
            "and copy resources/downloads here; or set model.base to a folder with the model."
        ) from error
    files = {file: folder / file for file in taken}
    for file, path in files.items():
        if (lfs := listed[file].lfs) and sha256_of(path) != lfs.sha256:
            path.resolve().unlink()  # or the cache would give it again
            raise EssenceError(
                f"{name}: {file} came damaged: its checksum is not that of the hub's listing. "
                "Run the same command again."
            )
    return commit, files


def commit_of(name: str, revision: str) -> str:
    """The full id of the commit that a revision stands for.

    The first digits of a commit are looked up in the history of `main`: that the hub's servers
    complete them is written nowhere.
    """
    from huggingface_hub import HfApi

    if re.fullmatch("[0-9a-f]{7,39}", revision):
        commits = [commit.commit_id for commit in HfApi().list_repo_commits(name)]
        if len(matching := [each for each in commits if each.startswith(revision)]) == 1:
            return matching[0]
    return HfApi().resolve_revision(name, revision=revision).resolved


def copy_model(files: dict[str, Path], out: Path) -> None:
    """The files as they are; a chat template goes into the tokenizer's configuration."""
    for file in FILES:
        shutil.copyfile(files[file], out / file)
    if TEMPLATE in files:
        config = out / "tokenizer_config.json"
        write_json(config, read_json(config) | {"chat_template": files[TEMPLATE].read_text()})


def check_weights(name: str, downloaded: dict[str, str], made: str, sha256: str | None) -> None:
    """Raise EssenceError unless the weights have the checksum: as downloaded, or as converted.

    Weights in parts have one only as converted.
    """
    weights = [file for file in downloaded if file.endswith((".safetensors", ".bin"))]
    checksums = {f"{weights[0]} as downloaded": downloaded[weights[0]]} if len(weights) == 1 else {}
    if weights != [WEIGHTS]:
        checksums[f"{WEIGHTS} as converted"] = made
    if sha256 and sha256 not in checksums.values():
        found = " and ".join(f"{file} has {checksum}" for file, checksum in checksums.items())
        raise EssenceError(
            f"model.sha256: of {name}, {found}, not {sha256}. To take these weights, set "
            "model.sha256 to what they have, or to null: the commit stands for their content."
        )


if __name__ == "__main__":
    run_stage(fetch)
