"""The table of runs: what every number was made from, and what it cost.

One line for each fine-tuning: settings, checksums of its rows and of the base model, digest of the
code, commit, versions, device, seconds, memory.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.csv import write_table
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
What each run was made from: its settings, checksums of its rows and base model, a checksum of the
code, versions of the packages, device, seconds and memory. What is equal for all runs is told once,
above the table.
"""

DIGITS = 12  # of a checksum, enough to tell files apart by eye


LEAD = (
    "Checksums are SHA-256, shortened. The fingerprint is a checksum of settings, rows, base "
    "model, code, versions and kind of device: with an equal one, the same machine trains the same "
    "weights again. <code>provenance.json</code> in the folder of a run has all of it in full."
)
SHARED = ("lock", "commit", "versions", "device")  # told once where all runs have the same


def run_line(run: Run) -> dict[str, str | int]:
    """A line of runs.csv."""
    facts, settings, training = run.provenance, run.settings, run.training
    git, device, base = facts.git, facts.device, facts.base
    commit = (git.commit or "unknown")[:DIGITS] + (" + changes" if git.dirty else "")
    return {
        "recipe": run.recipe,
        "run": run.name,
        "seed": run.seed,
        "fingerprint": facts.fingerprint,
        "sampling": settings.sampling,
        "rows": settings.rows,
        "batch_size": settings.batch_size,
        "learning_rate": rate(settings.learning_rate),
        "epochs": f"{training.epochs_done} of {settings.epochs}",
        "stopped_early": "yes" if training.stopped_early else "no",
        "steps": training.steps_done,
        "base": base.folder,
        "base_digest": base.digest[:DIGITS],
        "train_sha256": facts.data["train"][:DIGITS],
        "val_sha256": facts.data["val"][:DIGITS],
        "model_sha256": facts.model.sha256[:DIGITS],
        "code": facts.code[:DIGITS],
        "lock": (facts.lock or "none")[:DIGITS],
        "commit": commit,
        "versions": " ".join(
            f"{library} {version}" for library, version in sorted(facts.versions.items())
        ),
        "device": f"{device.kind}, {device.precision}",
        "seconds": ", ".join(f"{part} {value:.0f}" for part, value in facts.seconds.items()),
        "peak_memory_mib": facts.peak_memory_mib,
    }


def runs_page(lines: list[dict[str, str | int]]) -> html.Page:
    shared = [name for name in SHARED if len({line[name] for line in lines}) == 1]
    tables = {}
    if shared:
        same = [[name, lines[0][name]] for name in shared]
        tables["The same for all runs"] = html.Table(["what", "value"], same)
    columns = [name for name in lines[0] if name not in shared]
    rows = [
        [html.Name(line[name]) if isinstance(line[name], str) else line[name] for name in columns]
        for line in lines
    ]
    tables["Runs"] = html.Table(columns, rows)
    return html.tables("Runs and where they come from", LEAD, tables)


def tabulate_runs(
    runs: Annotated[list[Run], Setting("all run folders")],
    table: Annotated[Path, Output("runs.csv")],
) -> html.Page:
    lines = [run_line(run) for run in runs]
    write_table(table, lines[0], (line.values() for line in lines))
    return runs_page(lines)


if __name__ == "__main__":
    run_stage(tabulate_runs, write_page)
