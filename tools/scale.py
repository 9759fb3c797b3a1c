"""Rows against time and memory: every stage between a file of rows and a split sample.

    python -m tools.scale --sizes 10000 100000 --into scale.json --plot scale.svg

The rows are those of --rows again and again, each time with other idx, questions and SQL. Each
stage is a process of its own, as in the pipeline. What was measured is added to --into, so
that a size takes its turn when the machine has time for it; sizes measured before are shown too.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.stage import Option, run_stage

TEST = {"Selector": 30, "Decomposer": 30, "Refiner": 30}
SAMPLE = {"sampling": "balanced", "rows": 330, "draw": 1, "split": "row", "seed": 42}


def stages(folder: Path, base: Path, recipe: str) -> dict[str, list[str]]:
    """Name -> module and arguments; each reads what those before it have written."""
    rows, test, tokenizer = (
        folder / "rows.parquet",
        folder / "test.parquet",
        base / "tokenizer.json",
    )

    def outputs(**names: str) -> list[str]:
        return [part for key, name in names.items() for part in (f"--{key}", str(folder / name))]

    return {
        "read": ["data.read", "--raw", str(folder / "rows.jsonl"),
                 *outputs(rows="rows.parquet", quarantine="q.jsonl", summary="reading.json")],
        "profile": ["data.profile", "--rows", str(rows), "--tokenizer", str(tokenizer),
                    *outputs(profile="profile.json", lengths="lengths.parquet")],
        "audit": ["text.fit", "--rows", str(rows), "--tokenizer", str(base),
                  "--recipe", recipe, *outputs(out="fit.json")],
        "test set": ["data.draw_test", "--rows", str(rows), "--seed", "11",
                     "--per-task", json.dumps(TEST),
                     *outputs(test="test.parquet", unseen="unseen.parquet", card="t.json")],
        "sample and split": ["data.draw_sample", "--rows", str(rows), "--test", str(test),
                             "--settings", json.dumps(SAMPLE),
                             *outputs(train="train.parquet", val="val.parquet", card="s.json")],
    }  # fmt: skip


def varied(lines: list[str], count: int) -> Iterator[str]:
    """The rows of a JSONL file again and again, until there are `count`."""
    records = [json.loads(line) for line in lines]
    for number in range(count):
        record, again = records[number % len(records)], number // len(records)
        system, user, assistant = (message["content"] for message in record["messages"])
        before, mark, question = user.rpartition("【Question】\n")
        if not mark:
            before, mark, question = user.rpartition("【Query】\n-- ")
        answer = (
            assistant.replace("\n```", f" -- {again}\n```") if "SELECT" in assistant else assistant
        )
        contents = (system, f"{before}{mark}({again}) {question}", answer)
        roles = ("system", "user", "assistant")
        messages = [
            {"role": role, "content": content}
            for role, content in zip(roles, contents, strict=True)
        ]
        yield json.dumps({"idx": number, "messages": messages}, ensure_ascii=False)


def measured(arguments: list[str]) -> dict[str, float]:
    """Processor and wall-clock seconds, and the largest memory (MiB), of one stage.

    Raises EssenceError when it fails.
    """
    module, *rest = arguments
    command = [sys.executable, "-m", f"workflow_scripts.{module}", *rest]
    started = time.monotonic()
    silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=silence)
    _, status, used = os.wait4(process, 0)
    if status:
        raise EssenceError(f"workflow_scripts.{module} failed")
    return {
        "processor": round(used.ru_utime + used.ru_stime, 2),
        "clock": round(time.monotonic() - started, 2),
        "memory": used.ru_maxrss // 1024,
    }


def measure(size: int, lines: list[str], base: Path, recipe: str) -> dict[str, dict[str, float]]:
    """Stage -> what it took, over `size` rows."""
    folder = Path(tempfile.mkdtemp(prefix="essence-scale-"))
    try:
        with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in varied(lines, size))
        took = {}
        for name, arguments in stages(folder, base, recipe).items():
            took[name] = measured(arguments)
            print(f"{size:>9,} rows, {name}: {took[name]}", flush=True)
        return took
    finally:
        shutil.rmtree(folder)


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: a line for each size and stage, and one for all stages of a size."""
    lines = [
        "| rows | stage | processor (s) | clock (s) | ms a row | memory (MiB) |",
        "|" + "---|" * 6,
    ]
    for size, took in sorted(found.items(), key=lambda item: int(item[0])):
        total = {
            "processor": sum(each["processor"] for each in took.values()),
            "clock": sum(each["clock"] for each in took.values()),
            "memory": max(each["memory"] for each in took.values()),
        }
        for name, each in [*took.items(), ("**all**", total)]:
            lines.append(
                f"| {int(size):,} | {name} | {each['processor']:.1f} | {each['clock']:.1f} "
                f"| {each['processor'] / int(size) * 1000:.2f} | {each['memory']:,.0f} |"
            )
    return "\n".join(lines)


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "essence"
    from matplotlib import pyplot

    sizes = sorted(map(int, found))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axes, what, label in (
        (left, "processor", "processor time (s)"),
        (right, "memory", "largest memory (MiB)"),
    ):
        for name in stages(Path(), Path(), ""):
            axes.plot(sizes, [found[str(size)][name][what] for size in sizes], "o-", label=name)
        axes.set(xscale="log", xlabel="rows", ylabel=label)
        axes.grid(alpha=0.3)
    left.set_yscale("log")
    right.set_ylim(bottom=0)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right")
    figure.savefig(path, metadata={"Date": None})


def scale(
    sizes: Annotated[list[int], Option("numbers of rows to measure now")],
    rows: Annotated[Path, Option("JSONL of raw rows")] = Path("resources/twin/rows.jsonl"),
    base: Annotated[Path, Option("folder of the model")] = Path("resources/models/standin"),
    recipe: Annotated[str, Option("recipe of the audit")] = "as_written",
    into: Annotated[Path | None, Option("JSON that the measurements are added to")] = None,
    plot: Annotated[Path | None, Option("SVG to draw")] = None,
) -> None:
    found = read_json(into) if into and into.is_file() else {}
    lines = rows.read_text(encoding="utf-8").splitlines()
    for size in sizes:
        found[str(size)] = measure(size, lines, base, recipe)
        if into:
            write_json(into, found)
    print(table(found))
    if plot:
        draw(found, plot)


if __name__ == "__main__":
    run_stage(scale)
