"""Download a base model from the model hub, at one revision, into a folder of our own."""

import argparse
import shutil
from pathlib import Path

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import sha256, written_whole

FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def fetch_model(name: str, revision: str, out: Path, weights: str | None = None) -> None:
    """Copy the files of `name` at `revision` into `out`; `weights` is the sha256 expected of them.

    Raises EssenceError when the hub cannot be reached, has no such model or revision, or has
    other weights than those expected.
    """
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
        if file == "model.safetensors" and weights and sha256(cached) != weights:
            raise EssenceError(
                f"model.sha256: {name} at {revision} has weights {sha256(cached)}, not {weights}. "
                "Name the revision that has them, or set model.sha256 to null to take these."
            )
        with written_whole(out / file) as temporary:
            shutil.copyfile(cached, temporary)
        print(f"{file}: {(out / file).stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name on the hub, such as owner/model")
    parser.add_argument("--revision", required=True, help="commit, tag or branch")
    parser.add_argument("--sha256", help="what model.safetensors must have")
    parser.add_argument("--out", required=True, type=Path, help="folder for the files")
    arguments = parser.parse_args()
    fetch_model(arguments.name, arguments.revision, arguments.out, arguments.sha256)


if __name__ == "__main__":
    run_cli(main)
