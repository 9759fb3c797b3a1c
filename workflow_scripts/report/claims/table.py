"""The table of claims: every claim of the report, what was measured of it and what became of it."""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.claims import COLUMNS, ClaimLine, Claims, Column, Group, Kind
from workflow_scripts.artifacts.csv import read_csv, write_table
from workflow_scripts.artifacts.data import Profile, Reading
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Effect
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.report.claims.english import english, verdict_tag
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.numbers import data_lines, run_lines, text_lines
from workflow_scripts.report.claims.statements import CLAIMS
from workflow_scripts.report.claims.verdicts import REPORTS_ROWS, line_in_words
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
Every claim of the report and every number that its notebooks printed, with what became of it.

**How to read it.** First the claims that are judged here, then those that are not testable here,
then the numbers. The verdict is computed from the runs: *reproduced* (the whole 95 % interval lies
on the claimed side; a number lies inside its interval), *not reproduced* (it lies on the other
side), *open* (the interval holds the limit, too few rows stand behind it, or a training that is
compared had not converged when its epochs ended), *artefact* (with its number; the ablation narrows
it down where it is part of the report), *not testable here* (with what is missing; what compares
trainings needs several seeds). What each column was measured on stands below its name.
"""
CAPTION_CSV = """\
The table of claims as CSV; its first line says what each column was measured on.
"""

LEAD = (
    "Every claim of the report, and every number that its notebooks printed. <em>as run</em>: what "
    "the notebooks did, mistakes included. <em>as written</em>: what the report describes, carried "
    "out as described. <em>repaired</em>: as written, with the handling of text mended. Brackets "
    "hold 95 % intervals. A verdict follows from the numbers by fixed rules. An artefact is a "
    "mistake that could have produced a published result; A1 to A12 are explained on the report's "
    "front page."
)
REPORTS_OWN = "the report's rows and base model"
NAMES = ("group", "claim", "published", *COLUMNS, "verdict")


def claim_lines(evidence: Evidence) -> list[ClaimLine]:
    """All claims, group by group; of the numbers, those that are judged here come first."""
    lines = [line_in_words(claim, evidence) for claim in CLAIMS]
    lines += [*text_lines(evidence), *data_lines(evidence), *run_lines(evidence)]
    groups = list(Group)
    untested = Kind.NOT_TESTABLE
    return sorted(lines, key=lambda line: (groups.index(line.group), line.verdict.kind == untested))


def measured_on(evidence: Evidence, basis: str) -> list[str]:
    """The first line of the table: what each of its columns was measured on."""
    trained = evidence.by_column(evidence.of_recipe)
    columns = (basis if trained[column] else "not trained here" for column in COLUMNS)
    return ["", "(measured on)", REPORTS_OWN, *columns, f"computed on {basis}"]


def texts(line: ClaimLine) -> list[str]:
    """Its cells but for the verdict."""
    return [line.claim, line.published, *(line.measured[column] for column in COLUMNS)]


def claims_page(head: list[str], claims: Claims) -> html.Page:
    """One table for each group that has lines."""
    names = [name.replace("_", " ") for name in NAMES[1:]]
    subheads = dict(zip(names[1:], head[2:], strict=True))
    tables = {
        group.value: html.Table(
            names, [[*texts(line), verdict_tag(line.verdict)] for line in lines], subheads
        )
        for group, lines in claims.by_group().items()
        if lines
    }
    return html.tables("Claims of the report and what became of them", LEAD, tables)


def linked_rows(rows: Path) -> float:
    """Share of the rows that name their database."""
    named = [row.db_id is not None for row in iter_rows(Row, rows)]
    return sum(named) / max(len(named), 1)


def make_claims(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    recipes: Annotated[dict[Column, str], Setting("the recipe of each column of the claims")],
    published: Annotated[Published, Input("resources/published.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    profile: Annotated[Profile, Input("profile.json")],
    reading: Annotated[Reading, Input("reading.json: whether the rows are the report's")],
    rows: Annotated[Path, Input("rows.parquet: which rows name a database")],
    claims: Annotated[Path, Output("claims.json")],
    table: Annotated[Path, Output("claims.csv")],
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    own_model: Annotated[bool, Setting("whether the base model is not the report's")] = False,
    note: Annotated[str, Setting("small print")] = "",
) -> html.Page:
    lacks = [(not reading.is_the_reports_file, REPORTS_ROWS), (own_model, "its base model")]
    evidence = Evidence(
        runs=runs,
        recipes=recipes,
        published=published,
        fit={audit.recipe: audit for audit in fit},
        profile=profile,
        linked_rows=linked_rows(rows),
        ablation=[effect for path in ablation for effect in read_csv(Effect, path)],
        missing=[what for missing, what in lacks if missing],
    )
    head, found = measured_on(evidence, note or REPORTS_OWN), Claims(lines=claim_lines(evidence))
    found.write(claims)
    lines = ([line.group, *texts(line), english(line.verdict)] for line in found.lines)
    write_table(table, NAMES, [head, *lines])
    return claims_page(head, found)


if __name__ == "__main__":
    run_stage(make_claims, write_page)
