"""What the shortcuts save, each as a ratio of processor time measured in one run.

    python -m tools.speed --run results/runs/repaired/exp5_long/seed42

`before` does the same work as `now` without the shortcut; both give equal results, or the tool
fails. What was measured stands in docs/performance.md.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts import warm
from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.runs import Training
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.data.source_tokens import SourceEncoder
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import Option, run_stage

STARTS = ("data.draw_sample", "data.profile", "text.fit", "metrics.score_sql", "model.train")


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of processor time of this process, what the work gives)."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def show(what: str, before: Callable[[], Any], now: Callable[[], Any]) -> None:
    """Raises EssenceError when the two ways give different results."""
    (old, first), (new, second) = cpu(before), cpu(now)
    if first != second:
        raise EssenceError(f"{what}: the two ways differ")
    print(f"{what:44} {old:7.2f} s {new:7.2f} s   {new / old:.2f}", flush=True)


def answering(run: Path, rows: list[Row]) -> None:
    import torch

    from workflow_scripts.model.batches import make_examples, pad_sources
    from workflow_scripts.model.decoding import generate
    from workflow_scripts.model.load import load_model
    from workflow_scripts.text.preprocessing import model_input

    torch.set_num_threads(1)
    recipe = Training.read(run / "training.json").settings.recipe
    reads, model = model_input(run / "model", recipe), load_model(run / "model")
    pad, limit = reads.pad, recipe.generate_tokens
    sources = [example["input_ids"] for example in make_examples(rows, reads)]
    model.eval()

    def library() -> list[list[int]]:
        distinct = sorted(set(map(tuple, sources)), key=lambda ids: (len(ids), ids))
        answers = {}
        for start in range(0, len(distinct), 32):
            batch = distinct[start : start + 32]
            ids, mask = pad_sources(list(map(list, batch)), pad)
            written = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=limit, num_beams=1
            )
            for source, answer in zip(batch, written[:, 1:].tolist(), strict=True):
                end = answer.index(1) + 1 if 1 in answer else limit
                answers[source] = answer[:end]
        return [answers[tuple(source)] for source in sources]

    show(
        "answering, beside the library's loop",
        library,
        lambda: generate(model, sources, pad, limit, 32),
    )


def speed(
    run: Annotated[Path, Option("folder of a finished run of T5's kind")],
    rows: Annotated[Path, Option("Parquet of rows to answer")] = Path("results/data/test.parquet"),
    all_rows: Annotated[Path, Option("Parquet of rows to tokenise")] = Path(
        "results/data/rows.parquet"
    ),
) -> None:
    print(f"{'':44} {'before':>9} {'now':>9}   ratio")
    from tokenizers import Tokenizer

    stock = Tokenizer.from_file("resources/models/standin/tokenizer.json")
    texts = [row.source for row in read_rows(Row, all_rows)]
    show(
        "tokenising whole prompts, beside in one piece",
        lambda: list(map(len, SourceEncoder(stock, parts=False).encode(texts))),
        lambda: list(map(len, SourceEncoder(stock).encode(texts))),
    )
    answering(run, read_rows(Row, rows))
    forked(run, read_rows(Row, rows))
    for module in STARTS:
        print(f"start of {module:35} {'':9} {start(module):7.2f} s", flush=True)


def start(module: str) -> float:
    """Processor seconds until a stage knows its arguments."""
    return of_children([sys.executable, "-m", f"workflow_scripts.{module}", "--help"])


def of_children(command: list[str]) -> float:
    """Processor seconds that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def forked(run: Path, rows: list[Row]) -> None:
    """A whole `model.predict` of three rows, by itself and as a fork of the warm process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.parquet", Row, rows[:3])
        settings = Training.read(run / "training.json").settings.model_dump_json()
        command = [sys.executable, "-m", "workflow_scripts.warm", "model.predict"]
        command += ["--settings", settings, "--model", str(run / "model"), "--splits", "test"]
        command += ["--test", str(folder / "rows.parquet"), "--out"]
        alone = of_children([*command, str(folder / "alone.parquet")])
        os.environ[warm.COSTS] = str(folder / "costs")
        server = warm.start()
        while not Path(os.environ[warm.SOCKET]).exists():
            time.sleep(0.1)
        caller = [of_children([*command, str(folder / f"{n}.parquet")]) for n in (1, 2)][1]
        server.stdin.close()
        server.wait()
        imports, _, fork = (float(line.split()[1]) for line in (folder / "costs").open())
        if (folder / "alone.parquet").read_bytes() != (folder / "2.parquet").read_bytes():
            raise EssenceError("the warm process answers otherwise")
    print(f"{'answering three rows, started warm':44} {alone:7.2f} s {caller + fork:7.2f} s   "
          f"{(caller + fork) / alone:.2f}")  # fmt: skip
    print(f"{'imports of the warm process, once':44} {'':9} {imports:7.2f} s")


if __name__ == "__main__":
    run_stage(speed)
