"""Small files in the shapes that the report's stages read, with known numbers in them."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.files import read_json, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.metrics.score_runs import (
    COLUMNS,
    add_metrics,
    losses_of,
    read_answers,
    scores_of,
)
from workflow_scripts.runs import (
    Answering,
    Base,
    DeviceFacts,
    Epoch,
    Git,
    Losses,
    Provenance,
    Training,
    Weights,
)
from workflow_scripts.settings import Recipe, RunSettings, Settings, TrainingSettings
from workflow_scripts.tables import LENGTHS, PREDICTIONS, ROWS, SCORES, Prediction, write_table
from workflow_scripts.text.audit import EmbeddingRows, FitAudit, LengthSummary, TaskFit

PUBLISHED = read_json(Path(__file__).resolve().parent.parent / "resources/published.json")
GRID = {
    f"exp3_bs{batch}_lr{name}": (batch, value)
    for batch in (4, 8)
    for name, value in (("3e-5", 3e-5), ("5e-5", 5e-5), ("1e-4", 1e-4))
}
AS_WRITTEN = {"prompt": "full", "source_tokens": 512, "target_tokens": 512, "tokenizer": "stock"}
AS_WRITTEN |= {"padding_in_loss": True, "generate_tokens": 128}
REPAIRED = {"prompt": "compact", "source_tokens": 1024, "target_tokens": 512}
REPAIRED |= {"tokenizer": "lossless", "padding_in_loss": False, "generate_tokens": 512}
RECIPES = {"as_run": AS_WRITTEN, "as_written": AS_WRITTEN, "repaired": REPAIRED}
SPLITS = (("val", 0), ("test", 100), ("train", 200))  # and the number of its first row
STEPS_PER_EPOCH = 30


def recipe(name: str) -> Recipe:
    return Recipe(name=name, **RECIPES.get(name, AS_WRITTEN))


# --- data


def make_rows(path: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """rows.parquet with `counts[task]` rows of each task."""
    rng = random.Random(seed)
    rows = []
    for idx, task in enumerate(task for task, count in counts.items() for _ in range(count)):
        words = " ".join(["word"] * rng.randint(200, 400))
        row = {"idx": idx, "line": idx + 1, "task": task, "question": f"Question {idx}?"}
        row |= {"evidence": "", "schema": "# Table: t\n[\n  (a, a.)\n]", "target": gold(idx)}
        row |= {"source": f"### Input:\n{words}\n\n### Response:\n"}
        row |= {"db_id": "shop"} if task == "Selector" else {"gold_sql": sql(idx)}
        rows.append(row | {"how": "none", "candidates": ()})
    write_table(path, rows, ROWS)
    return path


def sql(idx: int) -> str:
    return f"SELECT a FROM t WHERE id < {idx}"


def gold(idx: int) -> str:
    return f"```sql\n{sql(idx)}\n```"


def make_lengths(path: Path) -> Path:
    rng, tasks = np.random.default_rng(0), ("Selector", "Decomposer", "Refiner")
    source = rng.normal(np.repeat([1600, 2500, 900], 60), 200).astype(int)
    words = rng.integers(5, 90, 180)
    columns = {"idx": range(180), "task": np.repeat(tasks, 60), "source_words": source // 2}
    columns |= {"source_tokens": source, "target_words": words, "target_tokens": words * 3}
    write_table(path, pd.DataFrame(columns), LENGTHS)
    return path


def make_data(folder: Path) -> None:
    """What the data rules leave, as far as the report reads it."""
    counts = {"Selector": 30, "Decomposer": 60, "Refiner": 10}
    make_rows(folder / "rows.parquet", counts)
    make_lengths(folder / "lengths.parquet")
    profile = {
        "rows": 100,
        "tasks": counts,
        "duplicates": {"source and target": {"rows": 0}},
        "empty": {task: {"source": 0, "target": 0} for task in TASKS},
        "anomalies": {"long line": {"rows": 2}},
    }
    write_json(folder / "profile.json", profile)
    file = {"name": "rows.jsonl", "bytes": 1, "sha256": "6" * 64, "git_blob_sha1": "7" * 40}
    reading = {"file": file, "is_the_reports_file": False, "rows": 100}
    write_json(folder / "reading.json", reading)


# --- fit audits


def make_fit(path: Path, settings: Recipe) -> Path:
    """A fit audit: `full` prompts lose question and targets, `compact` ones keep all."""
    keeps, counts = settings.prompt == "compact", PUBLISHED["dataset"]["tasks"]
    tasks = {
        task: _fit(rows, rows if keeps or task == "Refiner" else 0, keeps)
        for task, rows in counts.items()
    }
    kept = sum(facts.question_kept for facts in tasks.values())
    FitAudit(
        recipe=settings.name, settings=settings, tokenizer="resources/models/standin",
        embedding_rows=EmbeddingRows(model=100, needed=90), rows=3375, unreadable=0,
        first_unreadable=None, tasks=tasks, all=_fit(3375, kept, keeps),
        learning_possible=keeps, warnings=[],
    ).write(path)  # fmt: skip
    return path


def _fit(rows: int, kept: int, keeps: bool) -> TaskFit:
    some = LengthSummary(median=1, p95=2, max=3)
    return TaskFit(
        rows=rows, source_tokens=some, target_tokens=some, sources_cut=rows - kept, cut_in={},
        question_kept=kept, schema_kept=kept, old_sql_kept=None, distinct_sources=rows,
        distinct_inputs=max(kept, 1), targets_cut=0, targets_surviving=rows if keeps else 0,
        lost_characters={}, longer_than_generation=0.0 if keeps else 0.4,
        max_exact_match=float(keeps), max_exact_match_given_inputs=float(keeps), max_rouge_l=1.0,
        max_exact_match_decoded=1.0, max_rouge_l_decoded=1.0,
    )  # fmt: skip


# --- runs


def make_run(
    root: Path,
    recipe: Recipe,
    name: str,
    *,
    seed: int = 42,
    experiment: int = 3,
    sampling: str = "balanced",
    batch_size: int = 4,
    learning_rate: float = 5e-5,
    epochs: int = 4,
    end: float = 0.3,
    exact_match: float = 0.0,
    stopped_early: bool = False,
    test_rows: int = 12,
) -> Path:
    """One fine-tuning's folder; its loss falls from 0.9 towards `end`."""
    folder = root / recipe.name / name / f"seed{seed}"
    run = {"name": name, "experiment": experiment, "sampling": sampling, "rows": 60}
    run |= {"batch_size": batch_size, "learning_rate": learning_rate, "epochs": 20, "patience": 2}
    training = {"learning_rate_scale": 1, "scheduler": "linear", "warmup_steps": 0}
    training |= {"weight_decay": 0.0, "max_grad_norm": 1.0, "eval_batch_size": 16}
    training |= {"log_every": 5, "best_metric": "eval_loss"}
    settings = Settings(
        recipe=recipe, run=RunSettings(**run), training=TrainingSettings(**training),
        seed=seed, device="cpu", precision="fp32",
    )  # fmt: skip
    key = {"recipe": recipe.name, "run": name, "seed": seed}
    training, log = _training(settings, key, epochs, end, stopped_early)
    training.write(folder / "training.json")
    write_jsonl(folder / "training_log.jsonl", log)
    _provenance(settings, key).write(folder / "provenance.json")
    answers = _predictions(test_rows, exact_match, recipe.tokenizer)
    write_table(folder / "predictions.parquet", answers, PREDICTIONS)
    answering(test_rows, seconds=6.0).write(folder / "answering.json")
    return folder


def answering(asked: int, **known: Any) -> Answering:
    """What answering took: one answer was cut."""
    ended = {"length": 1, "stop": asked - 1}
    unknown = dict.fromkeys(("input_tokens", "output_tokens", "cost"))
    facts = {"model": "m", "served": [], "asked": asked, "answers": asked, "ended": ended}
    return Answering(**facts | unknown | known)


def _training(
    settings: Settings, key: dict[str, Any], epochs: int, end: float, stopped_early: bool
) -> tuple[Training, list[dict[str, Any]]]:
    """The epochs and the log of a run; one that stopped early ends in a bad epoch."""
    rng = random.Random(f"{settings.run.name} {settings.seed}")
    log: list[dict[str, Any]] = []
    kept: list[Epoch] = []
    steps = epochs * STEPS_PER_EPOCH
    for step in range(1, steps + 1):
        fresh = end + (0.9 - end) * math.exp(-3 * step / steps)
        loss = fresh * (1 + rng.uniform(-0.05, 0.05))
        tasks = sorted({rng.choice(TASKS) for _ in range(settings.run.batch_size)})
        at = {"step": step, "epoch": step / STEPS_PER_EPOCH}
        sums = {task: {"loss_sum": loss * 50, "tokens": 50} for task in tasks}
        log.append({"event": "step", **at, "loss": loss, "tasks": sums})
        if step % STEPS_PER_EPOCH == 0:
            value = fresh * (1.5 if stopped_early and step == steps else rng.uniform(1.01, 1.03))
            losses = {"eval_loss": value, "loss_per_token": value * 3.75}
            log.append({"event": "eval", **at, "loss": value})
            by_task = dict.fromkeys(TASKS, Losses(train_loss=loss, **losses))
            number = step // STEPS_PER_EPOCH
            kept.append(Epoch(epoch=number, step=step, train_loss=loss, **losses, tasks=by_task))
    best = min(kept, key=lambda epoch: epoch.eval_loss)
    ending = {"best_epoch": best.epoch, "best_step": best.step, "best_eval_loss": best.eval_loss}
    ending |= {"epochs_done": epochs, "steps_done": steps, "stopped_early": stopped_early}
    training = Training(
        **key,
        settings=settings,
        epochs=kept,
        **ending,
        best_loss_per_token=best.loss_per_token,
        steps_planned=steps * 2,
        rows=dict.fromkeys(("train", "val"), dict.fromkeys(("all", *TASKS), 12)),
    )
    return training, log


def _provenance(settings: Settings, key: dict[str, Any]) -> Provenance:
    return Provenance(
        **key, settings=settings, fingerprint="ab" * 8, data={"train": "1" * 64, "val": "2" * 64},
        base=Base(folder="base", digest="3" * 64), code="c" * 16, lock="4" * 64,
        device=DeviceFacts(kind="cpu", name="a CPU", precision="fp32", threads=1),
        versions={"torch": "2.13.0", "transformers": "5.23.0"},
        git=Git(commit="f" * 40, dirty=False), rows_at_once=settings.run.batch_size,
        seconds={"train": 12.5, "load": 1.0}, peak_memory_mib=900,
        model=Weights(sha256="5" * 64, bytes=1, parameters=2_700_000),
    )  # fmt: skip


def _predictions(count: int, exact_match: float, tokenizer: str) -> list[Prediction]:
    lost = "`<" if tokenizer == "stock" else ""
    raw = "SELECT </script> a FROM t"  # which must not end the script of the page
    return [
        Prediction(
            split=split, idx=idx, task=TASKS[place % 3], db_id="shop", question=f"Question {idx}?",
            gold=gold(idx), gold_decoded=gold(idx).translate(dict.fromkeys(map(ord, lost))),
            prediction=gold(idx) if place < round(exact_match * count) else raw,
            prediction_tokens=9, cut=place % 4 == 3, input=place, reachable=place % 4 != 3,
        )
        for split, first in SPLITS
        for place, idx in enumerate(range(first, first + count))
    ]  # fmt: skip


def make_tables(folder: Path, runs: list[Path]) -> Path:
    """answers.parquet and scores.parquet of some runs, scored as they are.

    SQL is not executed: every statement of an odd row is taken for right.
    """
    answers = add_metrics(read_answers(runs, {}))
    place = answers.idx % 100
    answers["schema"] = "# Table: t\n[\n  (a, a.)\n]"
    answers["verdict"], answers["error"] = "error", "no such column: a"
    answers["hardness"] = place.map(lambda each: ("easy", "medium", "hard", "extra")[each % 4])
    answers["execution_accuracy"] = (place % 2).astype(float).where(answers.task != "Selector")
    write_table(folder / "answers.parquet", answers, COLUMNS)
    texts = ["question", "prediction", "schema", "error", "verdict", "hardness"]
    numbers = answers.drop(columns=texts).copy()  # which would be copied with every selection
    lines = [*scores_of(numbers), *(line for run in runs for line in losses_of(run))]
    write_table(folder / "scores.parquet", pd.DataFrame(lines), SCORES)
    return folder


def make_all_runs(root: Path, seeds: tuple[int, ...] = (42,)) -> list[Path]:
    """The report's eight runs under three recipes; `repaired` answers some rows exactly."""
    runs = {
        f"exp1_{mix}": {"batch_size": 1, "experiment": 1, "sampling": mix}
        for mix in ("natural", "balanced")
    }
    for run, (batch, value) in GRID.items():
        runs[run] = {"batch_size": batch, "learning_rate": value, "end": 0.35 - 900 * value}
        runs[run]["stopped_early"] = batch == 8
    return [
        make_run(root, recipe(name), run, seed=seed, **extra,
                 exact_match=0.25 if name == "repaired" else 0.0)
        for name in RECIPES
        for seed in seeds
        for run, extra in runs.items()
    ]  # fmt: skip


def pick(folders: list[Path], recipe: str, name: str) -> Path:
    """The first seed of one run of a recipe."""
    return next(folder for folder in folders if folder.parts[-3:-1] == (recipe, name))
