"""Put an exported model on the Hugging Face Hub: `make push TO=owner/name`.

The token is that of `hf auth login` or of HF_TOKEN, and must be allowed to write. A repository that
is not there yet is made, for its owner's eyes alone unless --public is given.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import Operand, Option, run_stage

EXPORTS = Path("results/export")


def push(
    to: Annotated[str, Operand("owner/name on the Hub")],
    folder: Annotated[Path | None, Option("an exported model; the one in results/export")] = None,
    public: Annotated[bool, Option("let everybody see a repository that is made")] = False,
) -> None:
    """Raises EssenceError when there is nothing to push, no token, or the Hub refuses."""
    folder = folder or only_export()
    if not (folder / "README.md").is_file() or not (folder / "model.safetensors").is_file():
        raise EssenceError(f"{folder}: no exported model in it. `make export` writes one.")
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise EssenceError(
            "no token for the Hub. Log in with `hf auth login`, or set HF_TOKEN to a token that "
            "may write (https://huggingface.co/settings/tokens)."
        )
    try:
        hub = HfApi()
        hub.create_repo(to, private=not public, exist_ok=True)
        done = hub.upload_folder(
            repo_id=to, folder_path=folder, commit_message=f"Model exported from {folder}"
        )
    except Exception as error:  # the Hub's errors have no common base class
        raise EssenceError(f"{to}: the Hub did not take the model ({error})") from error
    print(f"{folder} is at {done.commit_url}")


def only_export() -> Path:
    found = sorted(path.parent for path in EXPORTS.glob("*/README.md"))
    if len(found) != 1:
        there = ", ".join(map(str, found)) or "none"
        raise EssenceError(
            f"{EXPORTS}: one exported model is wanted, there is {there}. `make export` writes one; "
            "of several, name one with --folder."
        )
    return found[0]


if __name__ == "__main__":
    run_stage(push)
