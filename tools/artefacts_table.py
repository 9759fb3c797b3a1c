"""Write the tables of docs/artefacts.md from resources/artefacts.yaml and the configurations.

python -m tools.artefacts_table
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from workflow_scripts.files import write_text
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.stage import run_stage

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "artefacts.md"
HEAD = "| id | what happened | what follows | here |\n| --- | --- | --- | --- |\n"
SIZES = "| setting | the report | `make` | `make full` |\n| --- | --- | --- | --- |\n"
SECTIONS = ("test_set", "recipes", "run_defaults", "runs", "seeds", "training", "prediction")


def table() -> str:
    lines = (
        f'| <a id="{name.lower()}"></a>{name} {each["title"].lower()} '
        f"| {each['happened']} | {each.get('follows', '')} | {each['setting']} |\n"
        for name, each in artefacts().items()
    )
    return HEAD + "".join(lines)


def settings(*overlays: str) -> dict[str, Any]:
    """Setting -> value, of config.yaml with these configurations over it."""
    config: dict[str, Any] = {}
    for name in ("config.yaml", *overlays):
        update_config(config, yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))

    def flat(part: Any, name: str) -> Iterator[tuple[str, Any]]:
        if isinstance(part, dict):
            for key, value in part.items():
                yield from flat(value, f"{name}.{key}")
        else:
            yield name, part

    return dict(pair for section in SECTIONS for pair in flat(config[section], section))


def sizes() -> str:
    """The settings in which the report's configuration, the default and the full run differ."""
    each = [settings("configs/report.yaml"), settings(), settings("configs/full.yaml")]
    names = dict.fromkeys(name for own in each for name in own)
    rows = ((name, [own.get(name, "-") for own in each]) for name in names)
    return SIZES + "".join(
        f"| `{name}` | {' | '.join(map(str, values))} |\n"
        for name, values in rows
        if any(value != values[0] for value in values)
    )


def page(text: str) -> str:
    """`text`, the page, with the tables in it made again."""
    for head, made in ((HEAD, table()), (SIZES, sizes())):
        before, _, rest = text.partition(head)
        after = rest[rest.index("\n\n") + 1 :]
        text = f"{before}{made}{after}"
    return text


def write_page() -> None:
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    run_stage(write_page)
