"""What the report's runs take on this GPU, before an hour of it is spent: a table in Markdown.

    python -m tools.gpu_check > gpu.md

About ten minutes. The model has T5-small's real size and random weights. Lengths, batch sizes and
settings are those of configs/report.yaml, and every row is as long as its recipe allows, so no real
one takes more. Beside it the notebooks' procedure (tools/procedure.py): float32, the library's
attention, one row answered at a time. Then several trainings share the card, evaluation and
checkpoint included, and last comes configs/rehearsal.yaml, the whole pipeline, on the GPU.
`--device cpu --tiny` tries the tool itself, anywhere; the pipeline is only planned then.
"""

import contextlib
import gc
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from snakemake.utils import update_config

from tools.procedure import answer_one_by_one, mean_loss, seconds, stepper
from tools.t5_small import t5_small
from tools.twin.build import TwinSettings, build
from workflow_scripts.config import Config, run_settings, runs_of
from workflow_scripts.config_check import checked
from workflow_scripts.data.read import read
from workflow_scripts.errors import EssenceError
from workflow_scripts.model import say
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.runs import DeviceFacts, Provenance, Training
from workflow_scripts.settings import Recipe, Settings
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import ROWS, read_rows, write_table

ROOT = Path(__file__).resolve().parent.parent
STANDIN = ROOT / "resources/models/standin"  # the model when tiny
PAD = 0
CLOSE = 0.01  # of the loss: what bf16 may change
Work = Callable[[], str]


class Bench(NamedTuple):
    """What is measured, and on what."""

    settings: Settings  # of one epoch of a run
    recipes: list[Recipe]  # the two ends of the ablation
    batch_sizes: list[int]
    rows_at_once: int  # in answering
    base: Path
    device: DeviceFacts
    folder: Path  # with train.parquet and val.parquet

    def model(self) -> Any:
        from workflow_scripts.model.load import load_model

        return load_model(self.base).to(self.device.kind)

    def batch(self, recipe: Recipe, size: int) -> dict[str, Any]:
        """Random rows, each as long as the recipe allows."""
        from workflow_scripts.model.batches import Collator, Example

        tokens = partial(random.Random(size).choices, range(2, 1000))  # no padding, no end
        lengths = recipe.source_tokens, recipe.target_tokens
        texts = [[tokens(k=length) for length in lengths] for _ in range(size)]
        rows = [Example(input_ids=source, labels=target, task=0) for source, target in texts]
        return {name: part.to(self.device.kind) for name, part in Collator(PAD)(rows).items()}

    def clock(self) -> float:
        synchronize(self.device.kind)
        return time.perf_counter()


def synchronize(kind: str) -> None:
    import torch

    if kind == "cuda":
        torch.cuda.synchronize()


def peak_memory(kind: str) -> float:
    """MiB of tensors at most since the last call; on a CPU, of the process since its start."""
    import torch

    if kind != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peak = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return peak


def prepare(folder: Path, device: DeviceFacts, tiny: bool) -> Bench:
    config: Config = {}
    for name in ("config.yaml", "configs/report.yaml"):
        update_config(config, yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
    update_config(config, {"model": {"device": device.kind}})
    config = checked(config)
    shorter, ablation = 16 if tiny else 1, config["ablation"]
    recipes = []
    for end in (ablation["unrepaired"], ablation["repaired"]):
        settings = run_settings(config, end, ablation["run"], config["seeds"][0])
        lengths = ("source_tokens", "target_tokens", "generate_tokens")
        fewer = {key: getattr(settings.recipe, key) // shorter for key in lengths}
        recipes.append(settings.recipe.model_copy(update=fewer))
    once = settings.run.model_copy(update={"epochs": 1})
    runs = [run for name in config["use_recipes"] for run in runs_of(config, name).values()]
    if not tiny:
        t5_small(folder / "t5_small")
        random_weights(folder / "base", folder / "t5_small")
    write_samples(folder, 8 if tiny else 800)
    return Bench(
        settings=settings.model_copy(update={"recipe": recipes[0], "run": once}),
        recipes=recipes,
        batch_sizes=sorted({run["batch_size"] for run in runs}),
        rows_at_once=config["prediction"]["batch_size"] // shorter,
        base=STANDIN if tiny else folder / "base",
        device=device,
        folder=folder,
    )


def write_samples(folder: Path, rows: int) -> None:
    """The first rows of the twin to train on, and some to evaluate."""
    whole = folder / "rows.parquet"
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the table
        build(folder / "twin", TwinSettings())
        read(folder / "twin/rows.jsonl", whole, folder / "quarantine.jsonl", folder / "read.json")
    twin = read_rows(whole)
    write_table(folder / "train.parquet", twin[:rows], ROWS)
    write_table(folder / "val.parquet", twin[rows : rows + 8], ROWS)


def losses(bench: Bench, size: int) -> str:
    import torch

    model, batch = bench.model().eval(), bench.batch(bench.recipes[0], size)
    with torch.inference_mode():
        return compared(*(float(mean_loss(model, batch, bf16, PAD)) for bf16 in (True, False)))


def compared(bf16: float, fp32: float) -> str:
    """Raises EssenceError where they differ, or one is no number."""
    said = f"{bf16:.4f} in bf16, {fp32:.4f} in float32"
    if abs(bf16 - fp32) <= CLOSE * fp32:
        return f"{said} (nats a token)"
    raise EssenceError(f"{said}; set model.precision to fp32")


def step(bench: Bench, recipe: Recipe, size: int, as_notebooks: bool = False) -> str:
    model, kind = bench.model().train(), bench.device.kind
    peak_memory(kind)
    if as_notebooks:
        model.set_attn_implementation("eager")
    bf16 = bench.device.precision == "bf16" and not as_notebooks
    steps = stepper(model, [bench.batch(recipe, size)], bf16, None if as_notebooks else PAD)
    return f"{seconds(steps, 4, bench.clock):.3g} s, {peak_memory(kind):,.0f} MiB"


def answers(bench: Bench, recipe: Recipe, rows: int, as_notebooks: bool = False) -> str:
    """Random weights seldom end an answer, so nearly all are as long as allowed."""
    from workflow_scripts.model.decoding import generate

    model, limit = bench.model().eval(), recipe.generate_tokens
    sources = bench.batch(recipe, rows)["input_ids"].tolist()
    work = partial(generate, model, sources, PAD, limit, rows)
    if as_notebooks:
        work = partial(answer_one_by_one, model, sources, limit)
    return f"{rows / seconds(work, 1, bench.clock):.3g} a second"


def trainings(bench: Bench, count: int) -> str:
    """So many `model.train` at once. Raises EssenceError when one of them fails."""
    outs = [bench.folder / f"{count} at once" / str(number) for number in range(count)]
    command = [sys.executable, "-m", "workflow_scripts.model.train"]
    command += ["--settings", bench.settings.model_dump_json(), "--base", str(bench.base)]
    for split in ("train", "val"):
        command += [f"--{split}", f"{bench.folder}/{split}.parquet"]
    start = partial(subprocess.Popen, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    processes = [start([*command, "--out", str(out), "--work", f"{out}-work"]) for out in outs]
    said = [process.communicate()[1] for process in processes]
    for process, text in zip(processes, said, strict=True):
        if process.returncode:
            raise EssenceError(text.strip()[-300:])
    made = [Provenance.read(out / "provenance.json") for out in outs]
    done = sum(Training.read(out / "training.json").steps_done for out in outs)
    rate = done / max(each.seconds["train"] for each in made)
    memory = max(each.peak_memory_mib for each in made)
    return f"{rate:.3g} steps a second together, {memory:,} MiB of the host's memory each"


def rehearsal(bench: Bench, *options: str) -> str:
    """The whole pipeline in a copy of the project. Raises EssenceError when it fails."""
    copy, overlay = bench.folder / "essence", bench.folder / "device.yaml"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "results", "work", "logs"))
    overlay.write_text(yaml.safe_dump({"model": {"device": bench.device.kind}}), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *options]
    command += ["--resources", "gpu=1"]  # the one that this process holds
    command += ["--configfile", "configs/rehearsal.yaml", str(overlay)]
    started = time.monotonic()
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    if done.returncode:
        raise EssenceError(f"{done.stdout}{done.stderr}".strip()[-300:])
    return " ".join([f"{time.monotonic() - started:,.0f} s", *options])


def lines(bench: Bench, at_once: tuple[int, ...]) -> Iterator[tuple[str, Work, Work | None]]:
    """What is measured, here and as the notebooks did it."""
    size = bench.settings.run.batch_size
    yield f"Loss of the same {size} rows", partial(losses, bench, size), None
    for recipe in bench.recipes:
        for rows in bench.batch_sizes:
            what = f"A step of batch {rows}, {recipe.source_tokens}/{recipe.target_tokens} tokens"
            here = partial(step, bench, recipe, rows)
            yield f"{what}: time, largest memory", here, partial(here, as_notebooks=True)
    for recipe in bench.recipes:
        what = f"Answers of {recipe.generate_tokens} tokens to {recipe.source_tokens}"
        here = partial(answers, bench, recipe, bench.rows_at_once)
        yield what, here, partial(answers, bench, recipe, 1, as_notebooks=True)
    for count in at_once:
        yield f"Trainings at once, batch {size}: {count}", partial(trainings, bench, count), None


def cell(work: Work | None) -> str:
    """What a measurement gives; or that it does not fit into memory, or why it failed."""
    import torch

    try:
        text = work() if work else ""
    except torch.OutOfMemoryError:
        text = "out of memory"
    except EssenceError as error:
        text = "failed: " + " ".join(str(error).replace("|", "/").split())
    gc.collect()  # what a measurement held can only be freed once its frames are gone
    torch.cuda.empty_cache()
    return text


def machine(bench: Bench) -> str:
    from workflow_scripts.model.train import package_versions

    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    versions = ", ".join(map(" ".join, package_versions(bench.settings).items()))
    return (
        f"{bench.device.name}, {bench.device.precision}, {os.cpu_count()} cores; "
        f"Python {sys.version.split()[0]}, {versions}; commit {commit or 'unknown'}"
    )


def gpu_check(
    device: Annotated[str, Option("cuda or cpu")] = "cuda",
    tiny: Annotated[bool, Option("the stand-in, a sixteenth of the lengths: to try this")] = False,
    no_rehearsal: Annotated[bool, Option("leave the whole pipeline out")] = False,
) -> int:
    """Print the table; 1 when a measurement failed. Raises EssenceError without a GPU."""
    import torch

    from workflow_scripts.model.device import choose_device

    if device != "cpu" and not torch.cuda.device_count():
        raise EssenceError(
            "no GPU is visible here. Run this on a machine with an NVIDIA GPU and a CUDA build of "
            "torch (`nvidia-smi` shows the GPU), or try the tool with --device cpu --tiny."
        )
    made = []
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(Path(folder), choose_device(device, "auto"), tiny)
        title, todo = machine(bench), list(lines(bench, (1, 2) if tiny else (1, 2, 4)))
        if not no_rehearsal:
            options = ["--dry-run"] if tiny else []
            todo.append(("The rehearsal", partial(rehearsal, bench, *options), None))
        for number, (what, here, notebooks) in enumerate(todo, 1):
            made.append(f"| {what} | {cell(here)} | {cell(notebooks)} |")
            say(f"{number}/{len(todo)} {made[-1]}")
    print(title, "", "| What | Here | The notebooks' procedure |", "|---|---|---|", *made, sep="\n")
    return int(any("| failed: " in line for line in made))


if __name__ == "__main__":
    run_stage(gpu_check)
