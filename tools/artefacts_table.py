"""Write the table of artefacts in docs/artefacts.md from resources/artefacts.yaml.

python -m tools.artefacts_table
"""

from pathlib import Path

from workflow_scripts.files import write_text
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.stage import run_stage

PAGE = Path(__file__).resolve().parent.parent / "docs" / "artefacts.md"
HEAD = "| id | what happened | what follows | here |\n| --- | --- | --- | --- |\n"


def table() -> str:
    lines = (
        f'| <a id="{name.lower()}"></a>{name} {each["title"].lower()} '
        f"| {each['happened']} | {each.get('follows', '')} | {each['setting']} |\n"
        for name, each in artefacts().items()
    )
    return HEAD + "".join(lines)


def page(text: str) -> str:
    """`text`, the page, with the table in it made again."""
    before, _, rest = text.partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    return f"{before}{table()}{after}"


def write_page() -> None:
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    run_stage(write_page)
