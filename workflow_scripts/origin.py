"""What rows and what model results come from: said under figures, and kept apart on disk."""

from pathlib import Path

from workflow_scripts.config import RANDOM_T5_SMALL, STANDIN, TWIN_ROWS, Config, source_of
from workflow_scripts.data.checksums import report_files
from workflow_scripts.errors import EssenceError
from workflow_scripts.settings import Origin


def origin_of(config: Config) -> Origin:
    """The rows and the base model of a configuration, in words."""
    data, model = config["data"], config["model"]
    return Origin(
        rows=" ".join(filter(None, (data["source"], source_of(config)))),
        model=" ".join(filter(None, (model["base"], model.get("revision")))),
    )


def reports_rows(config: Config) -> bool:
    """Whether the rows are the report's, which are verified when they are fetched."""
    return source_of(config) == report_files().raw.drive_id


def own_model(config: Config) -> bool:
    """Whether the base model is another than the report's."""
    return config["model"]["base"] != report_files().base_model.name


def rows_used(config: Config) -> str:
    """The source of the rows, in words for a reader."""
    if reports_rows(config):
        return "the report's rows"
    source = source_of(config)
    return "generated twin data" if source in (None, TWIN_ROWS) else f"rows of {Path(source).name}"


def model_used(config: Config) -> str:
    """The base model, in words for a reader."""
    base = config["model"]["base"]
    if not own_model(config):
        return "the report's model"
    names = {STANDIN: "stand-in model", RANDOM_T5_SMALL: "model with random weights"}
    return names.get(base, f"model {Path(base).name}")


def scale_of(config: Config) -> str:
    """How near results come to the report's: toy, rehearsal, own (neither's) or real."""
    if config["model"]["base"] == RANDOM_T5_SMALL:
        return "rehearsal"
    if config["model"]["base"] == STANDIN or rows_used(config) == "generated twin data":
        return "toy"
    return "real" if reports_rows(config) and not own_model(config) else "own"


def origin_note(config: Config) -> str:
    """What a table must say of the data, the model and the rates: all that is not the report's."""
    scale = config["training"]["learning_rate_scale"]
    notes = {
        rows_used(config): not reports_rows(config),
        model_used(config): own_model(config),
        f"learning rates times {scale:g}": scale != 1,
        "answers constrained to their schema": config["prediction"]["constrained"],
    }
    return ", ".join(note for note, differs in notes.items() if differs)


def keep_apart(results: Path, origin: Origin) -> None:
    """Note the origin of `results`, or raise EssenceError when trainings of another are there.

    Snakemake would take them for stale and put new ones in their place: hours of work, for an
    option that was forgotten.
    """
    file = results / "origin.json"
    if file.is_file() and (results / "runs").is_dir():
        before = Origin.read(file)
        changed = [
            f"{name}: {was}, now {now}"
            for (name, was), (_, now) in zip(before, origin, strict=True)
            if was != now
        ]
        if changed:
            raise EssenceError(
                f"{results} holds trainings of another origin ({'; '.join(changed)}), which would "
                "be replaced. Repeat the --configfile and --config that made them, work in "
                f"another folder (--directory), or let them go: rm {file}"
            )
    origin.write(file)
