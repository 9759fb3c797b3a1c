"""One results folder holds what was made from one data set and one base model."""

from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json

Origin = dict[str, str]


def origin_of(config: dict[str, Any]) -> Origin:
    """The rows and the base model of a configuration, in words."""
    data, model = config["data"], config["model"]
    key = {"path": "path", "url": "url", "drive": "drive_id"}.get(data["source"], "")
    rows = filter(None, (data["source"], data.get(key)))
    return {
        "rows": " ".join(rows),
        "model": " ".join(filter(None, (model["base"], model.get("revision")))),
    }


def keep_apart(results: Path, origin: Origin) -> None:
    """Note the origin of `results`, or raise EssenceError when trainings of another are there.

    Snakemake would take them for stale and put new ones in their place: hours of work, for an
    option that was forgotten.
    """
    file = results / "origin.json"
    if file.is_file() and (results / "runs").is_dir():
        before = read_json(file)
        changed = [key for key in origin if before.get(key) != origin[key]]
        if changed:
            told = "; ".join(f"{key}: {before.get(key)}, now {origin[key]}" for key in changed)
            raise EssenceError(
                f"{results} holds trainings of another origin ({told}), which would be replaced. "
                "Repeat the --configfile and --config that made them, work in another clone, or "
                f"let them go: rm {file}"
            )
    write_json(file, origin)
