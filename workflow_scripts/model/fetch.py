"""Download a base model from the model hub, at one revision, into a folder of our own."""

import shutil
from pathlib import Path
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256 as sha256_of
from workflow_scripts.files import written_whole
from workflow_scripts.stage import Setting, run_stage

FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def fetch(
    name: Annotated[str, Setting("name on the hub, such as owner/model")],
    revision: Annotated[str, Setting("commit, tag or branch")],
    out: Annotated[Path, Setting("folder for the files")],
    sha256: Annotated[str | None, Setting("checksum that model.safetensors must have")] = None,
) -> None:
    """Raises EssenceError when the hub lacks the model or the revision, or has other weights."""
    from huggingface_hub import hf_hub_download

    for file in FILES:
        try:
            cached = hf_hub_download(name, file, revision=revision)
        except Exception as error:  # the hub's errors have no common base class
            raise EssenceError(
                f"model.base: could not get {file} of {name} at {revision} ({error}). "
                f"On a machine without network, put the files into {out} by hand "
                f"({', '.join(FILES)}), or set model.base to a folder that has them."
            ) from error
        if file == "model.safetensors" and sha256 and (found := sha256_of(cached)) != sha256:
            raise EssenceError(
                f"model.sha256: {name} at {revision} has weights {found}, not {sha256}. "
                "Name the revision that has them, or set model.sha256 to null to take these."
            )
        with written_whole(out / file) as temporary:
            shutil.copyfile(cached, temporary)
        print(f"{file}: {(out / file).stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    run_stage(fetch)
