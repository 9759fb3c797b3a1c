"""Small files in the shapes that the report's stages read, with known numbers in them."""

import math
import random
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from material import ROOT

from workflow_scripts import runs as run_files
from workflow_scripts.files import read_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.metrics import score_runs
from workflow_scripts.report.means import rate
from workflow_scripts.settings import Recipe, RunSettings, Settings, TrainingSettings
from workflow_scripts.tables import LENGTHS, PREDICTIONS, ROWS, SCORES, Prediction, write_table
from workflow_scripts.text.audit import EmbeddingRows, FitAudit, LengthSummary, TaskFit

PUBLISHED = read_json(ROOT / "resources/published.json")
CHOSEN = PUBLISHED["text"]["chosen_run"]
AS_WRITTEN = {"prompt": "full", "source_tokens": 512, "target_tokens": 512, "tokenizer": "stock"}
AS_WRITTEN |= {"padding_in_loss": True, "generate_tokens": 128}
REPAIRED = {"prompt": "compact", "source_tokens": 1024, "target_tokens": 512}
REPAIRED |= {"tokenizer": "lossless", "padding_in_loss": False, "generate_tokens": 512}
RECIPES = {"as_run": AS_WRITTEN, "as_written": AS_WRITTEN, "repaired": REPAIRED}
SPLITS = (("val", 0), ("test", 100), ("train", 200))  # and the number of its first row
STEPS_PER_EPOCH = 30
SCHEMA = "# Table: t\n[\n  (a, a.)\n]"


def recipe(name: str) -> Recipe:
    return Recipe(name=name, **RECIPES.get(name, AS_WRITTEN))


# --- data

# What the data rules say of the rows, as far as the report reads it.
PROFILE = {
    "rows": 100,
    "tasks": {"Selector": 30, "Decomposer": 60, "Refiner": 10},
    "duplicates": {"source and target": {"rows": 0}},
    "empty": {task: {"source": 0, "target": 0} for task in TASKS},
    "anomalies": {"long line": {"rows": 2}},
}
FILE = {"name": "rows.jsonl", "bytes": 1, "sha256": "6" * 64, "git_blob_sha1": "7" * 40}
READING = {"file": FILE, "is_the_reports_file": False, "rows": 100}


def make_rows(path: Path, counts: dict[str, int]) -> Path:
    """rows.parquet with `counts[task]` rows of each task."""
    rows = []
    for idx, task in enumerate(task for task, count in counts.items() for _ in range(count)):
        row = {"idx": idx, "line": idx + 1, "task": task, "question": f"Question {idx}?"}
        row |= {"evidence": "", "schema": SCHEMA, "source": "### Input:", "target": gold(idx)}
        row |= {"db_id": "shop"} if task == "Selector" else {"gold_sql": "SELECT a FROM t"}
        rows.append(row | {"how": "none", "candidates": ()})
    write_table(path, rows, ROWS)
    return path


def gold(idx: int) -> str:
    return f"```sql\nSELECT a FROM t WHERE id < {idx}\n```"


def make_lengths(path: Path) -> Path:
    rng, tasks = np.random.default_rng(0), np.repeat(TASKS, 60)
    source = rng.normal(np.repeat([1600, 2500, 900], 60), 200).astype(int)
    words = rng.integers(5, 90, 180)
    columns = {"idx": range(180), "task": tasks, "source_words": source // 2}
    columns |= {"source_tokens": source, "target_words": words, "target_tokens": words * 3}
    write_table(path, pd.DataFrame(columns), LENGTHS)
    return path


def fits() -> list[FitAudit]:
    """An audit of each recipe: `full` prompts lose question and targets, `compact` ones none."""
    return [_audit(recipe(name)) for name in RECIPES]


def _audit(settings: Recipe) -> FitAudit:
    keeps, counts = settings.prompt == "compact", PUBLISHED["dataset"]["tasks"]
    tasks = {
        task: _fit(rows, rows if keeps or task == "Refiner" else 0, keeps)
        for task, rows in counts.items()
    }
    kept = sum(facts.question_kept for facts in tasks.values())
    return FitAudit(
        recipe=settings.name, settings=settings, tokenizer="resources/models/standin",
        embedding_rows=EmbeddingRows(model=100, needed=90), rows=3375, unreadable=0,
        first_unreadable=None, tasks=tasks, all=_fit(3375, kept, keeps),
        learning_possible=keeps, warnings=[],
    )  # fmt: skip


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

ASKED = 12  # rows of each split
RUN = {"experiment": 3, "sampling": "balanced", "rows": 60, "batch_size": 4}
RUN |= {"learning_rate": 5e-5, "epochs": 20, "patience": 2}
TRAINING = {"learning_rate_scale": 1, "scheduler": "linear", "warmup_steps": 0, "log_every": 5}
TRAINING |= {"weight_decay": 0.0, "max_grad_norm": 1.0, "eval_batch_size": 16}
TRAINING |= {"best_metric": "eval_loss"}


def make_run(
    root: Path, recipe: Recipe, name: str, *, seed: int = 42, epochs: int = 4, end: float = 0.3,
    exact_match: float = 0.0, stopped_early: bool = False, **of_run: Any,
) -> Path:  # fmt: skip
    """One fine-tuning's folder; its loss falls from 0.9 towards `end`; `of_run`: its settings."""
    folder = root / recipe.name / name / f"seed{seed}"
    settings = Settings(
        recipe=recipe, run=RunSettings(**RUN | of_run | {"name": name}),
        training=TrainingSettings(**TRAINING), seed=seed, device="cpu", precision="fp32",
    )  # fmt: skip
    key = {"recipe": recipe.name, "run": name, "seed": seed}
    _write_training(folder, settings, key, epochs, end, stopped_early)
    _provenance(settings, key).write(folder / "provenance.json")
    answers = _predictions(exact_match, recipe.tokenizer)
    write_table(folder / "predictions.parquet", answers, PREDICTIONS)
    answering(ASKED, seconds=6.0).write(folder / "answering.json")
    return folder


def answering(asked: int, **known: Any) -> run_files.Answering:
    """What answering took: one answer was cut."""
    ended = {"length": 1, "stop": asked - 1}
    unknown = dict.fromkeys(("input_tokens", "output_tokens", "cost"))
    facts = {"model": "m", "served": [], "asked": asked, "answers": asked, "ended": ended}
    return run_files.Answering(**facts | unknown | known)


def _write_training(
    folder: Path, settings: Settings, key: dict, epochs: int, end: float, stopped_early: bool
) -> None:
    """The epochs and the log of a run; one that stopped early ends in a bad epoch."""
    rng = random.Random(f"{settings.run.name} {settings.seed}")
    log, kept = [], []
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
            losses = {"train_loss": loss, "eval_loss": value, "loss_per_token": value * 3.75}
            log.append({"event": "eval", **at, "loss": value})
            by_task = dict.fromkeys(TASKS, run_files.Losses(**losses))
            number = step // STEPS_PER_EPOCH
            kept.append(run_files.Epoch(epoch=number, step=step, **losses, tasks=by_task))
    best = min(kept, key=lambda epoch: epoch.eval_loss)
    run_files.Training(
        **key, settings=settings, epochs=kept, best_epoch=best.epoch, best_step=best.step,
        best_eval_loss=best.eval_loss, best_loss_per_token=best.loss_per_token,
        epochs_done=epochs, steps_done=steps, steps_planned=steps * 2,
        rows=dict.fromkeys(("train", "val"), dict.fromkeys(("all", *TASKS), ASKED)),
        stopped_early=stopped_early,
    ).write(folder / "training.json")  # fmt: skip
    write_jsonl(folder / "training_log.jsonl", log)


def _provenance(settings: Settings, key: dict[str, Any]) -> run_files.Provenance:
    return run_files.Provenance(
        **key, settings=settings, fingerprint="ab" * 8, data={"train": "1" * 64, "val": "2" * 64},
        base=run_files.Base(folder="base", digest="3" * 64), code="c" * 16, lock="4" * 64,
        device=run_files.DeviceFacts(kind="cpu", name="a CPU", precision="fp32", threads=1),
        versions={"torch": "2.13.0", "transformers": "5.23.0"},
        git=run_files.Git(commit="f" * 40, dirty=False), rows_at_once=settings.run.batch_size,
        seconds={"train": 12.5, "load": 1.0}, peak_memory_mib=900,
        model=run_files.Weights(sha256="5" * 64, bytes=1, parameters=2_700_000),
    )  # fmt: skip


def _predictions(exact_match: float, tokenizer: str) -> list[Prediction]:
    lost = "`<" if tokenizer == "stock" else ""
    raw = "SELECT </script> a FROM t"  # which must not end the script of the page
    return [
        Prediction(
            split=split, idx=idx, task=TASKS[place % 3], db_id="shop", question=f"Question {idx}?",
            gold=gold(idx), gold_decoded=gold(idx).translate(dict.fromkeys(map(ord, lost))),
            prediction=gold(idx) if place < round(exact_match * ASKED) else raw,
            prediction_tokens=9, cut=place % 4 == 3, input=place, reachable=place % 4 != 3,
        )
        for split, first in SPLITS
        for place, idx in enumerate(range(first, first + ASKED))
    ]  # fmt: skip


def make_tables(folder: Path, runs: list[Path]) -> None:
    """answers.parquet and scores.parquet of some runs, scored as they are.

    SQL is not executed: every statement of an odd row is taken for right.
    """
    answers = score_runs.add_metrics(score_runs.read_answers(runs, {}))
    place = answers.idx % 100
    answers["schema"] = SCHEMA
    answers["verdict"], answers["error"] = "error", "no such column: a"
    answers["hardness"] = place.map(lambda each: ("easy", "medium", "hard", "extra")[each % 4])
    answers["execution_accuracy"] = (place % 2).astype(float).where(answers.task != "Selector")
    write_table(folder / "answers.parquet", answers, score_runs.COLUMNS)
    texts = ["question", "prediction", "schema", "error", "verdict", "hardness"]
    numbers = answers.drop(columns=texts).copy()  # which would be copied with every selection
    lines = [*score_runs.scores_of(numbers), *chain(*map(score_runs.losses_of, runs))]
    write_table(folder / "scores.parquet", pd.DataFrame(lines), SCORES)


def make_all_runs(root: Path, seeds: tuple[int, ...]) -> list[Path]:
    """The report's eight runs under three recipes; `repaired` answers some rows exactly."""
    runs = {
        f"exp1_{mix}": {"batch_size": 1, "experiment": 1, "sampling": mix}
        for mix in ("natural", "balanced")
    }
    for batch, value in product((4, 8), (3e-5, 5e-5, 1e-4)):
        run = {"batch_size": batch, "learning_rate": value, "end": 0.35 - 900 * value}
        runs[f"exp3_bs{batch}_lr{rate(value)}"] = run | {"stopped_early": batch == 8}
    return [
        make_run(root, recipe(name), run, seed=seed, **extra,
                 exact_match=0.25 if name == "repaired" else 0.0)
        for name in RECIPES
        for seed in seeds
        for run, extra in runs.items()
    ]  # fmt: skip
