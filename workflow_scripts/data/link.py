"""Links each row to one of the databases at hand, by the rules of `data.linking`.

    python -m workflow_scripts.data.link --rows rows.parquet --databases DIR \\
        --links links.parquet --report links.json
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.data import Links, TaskLinks
from workflow_scripts.artifacts.parquet import iter_rows, write_rows
from workflow_scripts.artifacts.tables import Link, RowSubject
from workflow_scripts.data.catalog import Catalog
from workflow_scripts.data.linking import AMBIGUOUS, CONFLICT, Linker
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Output, Setting, run_stage


def link_rows(rows: Iterable[RowSubject], linker: Linker) -> tuple[list[Link], Links]:
    """The link of each row, and what links.json says of them all."""
    links: list[Link] = []
    counts: defaultdict[str, Counter] = defaultdict(Counter)  # task -> how
    linked: Counter = Counter()
    for row in rows:
        link = linker.link(row)
        links.append(link)
        for task in ("all", row.task):
            counts[task][link.how] += 1
            linked[task] += link.db_id is not None
    return links, Links(
        tasks={task: _of_task(counts[task], linked[task]) for task in ("all", *TASKS)},
        databases=len({link.db_id for link in links} - {None}),
        questions_of_several_databases=sum(len(names) > 1 for names in linker.stated.values()),
        conflicts=[link.idx for link in links if link.how == CONFLICT],
        ambiguous=[link.idx for link in links if link.how == AMBIGUOUS],
    )


def _of_task(ways: Counter, linked: int) -> TaskLinks:
    rows = ways.total()
    return TaskLinks(
        rows=rows, linked=linked, coverage=linked / rows if rows else None, how=dict(ways)
    )


def link(
    rows: Annotated[Path, Input("rows.parquet")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    links: Annotated[Path, Output("links.parquet")],
    report: Annotated[Path, Output("links.json")],
) -> None:
    with Catalog(databases) as catalog:
        linker = Linker(iter_rows(RowSubject, rows), catalog)
        found, summary = link_rows(iter_rows(RowSubject, rows), linker)
    write_rows(links, Link, found)
    summary.write(report)


if __name__ == "__main__":
    run_stage(link)
