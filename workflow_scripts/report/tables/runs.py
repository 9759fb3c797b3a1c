"""The table of runs: what every number was made from, and what it cost.

One line for each fine-tuning: settings, checksums of its rows and of the base model, digest of the
code, commit, versions, device, seconds, memory.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.files import write_text
from workflow_scripts.report.look import PLAIN, Look
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, read_runs
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
What each number was made from: settings, checksums of the rows and the base model, digest of the
code, versions, device, seconds and memory.

**How to read it.** What is equal for all runs comes first, once. The fingerprint covers settings,
rows, base model, code, versions and the kind of device: two runs with the same fingerprint on one
machine have the same weights.
"""

DIGITS = 12  # of a checksum, enough to tell files apart by eye


def line(run: Run) -> dict[str, Any]:
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
        "versions": " ".join(f"{name} {it}" for name, it in sorted(facts.versions.items())),
        "device": f"{device.kind}, {device.precision}",
        "seconds": ", ".join(f"{part} {value:.0f}" for part, value in facts.seconds.items()),
        "peak_memory_mib": facts.peak_memory_mib,
    }


def runs_page(frame: pd.DataFrame, note: str) -> str:
    lead = (
        '<p class="lead">Checksums are sha256, shortened. The fingerprint covers settings, rows, '
        "base, code, versions and kind of device: where it is equal, the same machine gives the "
        "same weights again. The file <code>provenance.json</code> in the folder of a run "
        "has all of it in full.</p>"
    )
    same = [name for name in ("lock", "commit", "versions", "device") if frame[name].nunique() == 1]
    shared = [[name, frame[name].iloc[0]] for name in same]
    parts = [lead]
    if shared:
        parts += ["<h2>The same for all runs</h2>", html.table(["what", "value"], shared)]
    shown = frame.drop(columns=same)
    rows = [
        [html.Name(cell) if isinstance(cell, str) else cell for cell in row]
        for row in shown.values.tolist()
    ]
    parts += ["<h2>Runs</h2>", html.table(list(shown.columns), rows)]
    return html.page("Runs and where they come from", note, "\n".join(parts))


def tabulate_runs(
    runs: Annotated[list[Path], Setting("all run folders")],
    table: Annotated[Path, Output("runs.csv")],
    page: Annotated[Path, Output("runs.html")],
    look: Annotated[Look, Setting("small print")] = PLAIN,
) -> None:
    frame = pd.DataFrame([line(run) for run in read_runs(runs)])
    write_text(table, frame.to_csv(index=False, lineterminator="\n"))
    write_text(page, runs_page(frame, look.note))


if __name__ == "__main__":
    run_stage(tabulate_runs)
