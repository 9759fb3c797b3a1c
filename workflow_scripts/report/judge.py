"""What became of the report's claims and numbers: results/tables/claims.csv.

resources/claims.yaml has the claims in words.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.artifacts.data import Profile, Reading
from workflow_scripts.artifacts.published import Published
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.numbers import data_lines, number_lines, quoted_lines
from workflow_scripts.report.claims.verdict import (
    JUDGED,
    NOT_TESTABLE,
    NUMBERS,
    REPORTS_ROWS,
    UNTESTED,
    claim_lines,
)
from workflow_scripts.report.frames import read_epochs, read_runs, read_steps
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, TEXT, read_csv, read_table, write_csv
from workflow_scripts.text.audit import FitAudit


def judge(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    recipes: Annotated[dict, Setting("the recipe of each column of the claims")],
    answers: Annotated[Path, Input("answers.parquet")],
    scores: Annotated[Path, Input("scores.parquet")],
    published: Annotated[Published, Input("resources/published.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    profile: Annotated[Profile, Input("profile.json")],
    reading: Annotated[Reading, Input("reading.json: whether the rows are the report's")],
    rows: Annotated[Path, Input("rows.parquet: which rows name a database")],
    table: Annotated[Path, Output("claims.csv")],
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    own_model: Annotated[bool, Setting("whether the base model is not the report's")] = False,
) -> None:
    frame = read_runs(runs)
    lacks = [(not reading.is_the_reports_file, REPORTS_ROWS), (own_model, "its base model")]
    named = read_table(rows, {"db_id": TEXT}).db_id
    evidence = Evidence(
        runs=frame,
        epochs=read_epochs(runs),
        steps=read_steps(Path(folder) for folder in frame[frame.experiment == 1].folder),
        scores=read_table(scores, SCORES),
        answers=read_table(answers, ANSWERS),
        recipes=recipes,
        published=published,
        fit={audit.recipe: audit for audit in fit},
        profile=profile,
        linked_rows=float(named.notna().mean()),
        ablation=pd.concat([read_csv(path) for path in ablation]) if ablation else pd.DataFrame(),
        missing=[what for missing, what in lacks if missing],
    )
    lines = [*claim_lines(evidence), *quoted_lines(evidence), *data_lines(evidence)]
    lines += number_lines(evidence)
    groups = [JUDGED, UNTESTED, NUMBERS]
    lines.sort(key=lambda line: (groups.index(line["group"]), line["kind"] == NOT_TESTABLE))
    write_csv(table, pd.DataFrame(lines))


if __name__ == "__main__":
    run_stage(judge)
