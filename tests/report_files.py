"""Small files in the formats that the report's stages read, with known numbers in them."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.files import write_json, write_jsonl, write_parquet

TASKS = ("Selector", "Decomposer", "Refiner")
GRID = {
    f"exp3_bs{batch}_lr{name}": (batch, value)
    for batch in (4, 8)
    for name, value in (("3e-5", 3e-5), ("5e-5", 5e-5), ("1e-4", 1e-4))
}
RECIPES = {
    "as_run": ("full", 512, 512, "stock", True, 128),
    "as_written": ("full", 512, 512, "stock", True, 128),
    "repaired": ("compact", 1024, 512, "lossless", False, 512),
}


def recipe(name: str, **changes: Any) -> dict[str, Any]:
    keys = ("prompt", "source_tokens", "target_tokens", "tokenizer", "padding_in_loss")
    values = RECIPES.get(name, RECIPES["as_written"])
    settings = dict(zip((*keys, "generate_tokens"), values, strict=True))
    return {"name": name, **settings, **changes}


def make_rows(path: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """rows.parquet with `counts[task]` rows of each task."""
    rng = random.Random(seed)
    rows = []
    for task, count in counts.items():
        for _ in range(count):
            idx = len(rows)
            answer = f"```sql\nSELECT a FROM t WHERE id < {idx}\n```"
            words = " ".join(["word"] * rng.randint(200, 400))
            rows.append(
                {
                    "idx": idx,
                    "line": idx + 1,
                    "task": task,
                    "db_id": "shop" if task == "Selector" else None,
                    "question": f"Question {idx}?",
                    "evidence": "",
                    "gold_sql": None if task == "Selector" else f"SELECT a FROM t WHERE id < {idx}",
                    "source": f"### Input:\n{words}\n\n### Response:\n",
                    "target": answer,
                }
            )
    write_parquet(path, pa.Table.from_pylist(rows))
    return path


def make_run(
    root: Path,
    recipe_settings: dict[str, Any],
    name: str,
    *,
    seed: int = 42,
    experiment: int = 3,
    sampling: str = "balanced",
    batch_size: int = 4,
    learning_rate: float = 5e-5,
    epochs: int = 4,
    start: float = 0.9,
    end: float = 0.3,
    rouge_l: float = 0.35,
    exact_match: float = 0.0,
    noise: float = 0.05,
    stopped_early: bool = False,
    steps_per_epoch: int = 30,
    test_rows: int = 12,
) -> Path:
    """One fine-tuning's folder; its loss falls from `start` towards `end`."""
    folder = root / recipe_settings["name"] / name / f"seed{seed}"
    rng = random.Random(f"{name} {seed}")
    log, epoch_rows, losses = [], [], []
    for step in range(1, epochs * steps_per_epoch + 1):
        fresh = end + (start - end) * math.exp(-3 * step / (epochs * steps_per_epoch))
        loss = fresh * (1 + rng.uniform(-noise, noise))
        losses.append(loss)
        tasks = {rng.choice(TASKS) for _ in range(batch_size)}
        sums = {task: {"loss_sum": loss * 50, "tokens": 50} for task in sorted(tasks)}
        epoch = step / steps_per_epoch
        log.append({"event": "step", "step": step, "epoch": epoch, "loss": loss})
        log[-1] |= {"learning_rate": learning_rate, "tasks": sums}
        if step % steps_per_epoch == 0:
            last = stopped_early and step == epochs * steps_per_epoch
            value = fresh * (1.5 if last else 1.02)
            sums = {
                task: {"loss_sum": value * 100, "tokens": 100}
                | {"real_loss_sum": value * 150, "real_tokens": 40}
                for task in TASKS
            }
            by_task = {
                task: {"train_loss": loss, "eval_loss": value, "loss_per_token": value * 3.75}
                for task in TASKS
            }
            event = {"step": step, "epoch": epoch, "eval_loss": value}
            event |= {"loss_per_token": value * 3.75, "tasks": sums}
            log.append({"event": "eval", **event})
            epoch_rows.append({**event, "train_loss": loss, "tasks": by_task})
            epoch_rows[-1]["epoch"] = round(epoch)
    best = min(epoch_rows, key=lambda row: row["eval_loss"])
    steps_done = epochs * steps_per_epoch
    ending = {"best_epoch": best["epoch"], "best_step": best["step"]}
    ending |= {"best_eval_loss": best["eval_loss"], "epochs_done": epochs}
    ending |= {"steps_done": steps_done, "stopped_early": stopped_early}
    log.append({"event": "end", **ending})
    run = {"name": name, "experiment": experiment, "sampling": sampling, "rows": 60}
    run |= {"batch_size": batch_size, "learning_rate": learning_rate, "epochs": 20, "patience": 2}
    settings = {"recipe": recipe_settings, "run": run, "seed": seed, "device": "cpu"}
    settings |= {"training": {"log_every": 5, "learning_rate_scale": 1.0}, "precision": "fp32"}
    key = {"recipe": recipe_settings["name"], "run": name, "seed": seed}
    training = {**key, "settings": settings, "epochs": epoch_rows, **ending}
    training |= {"best_loss_per_token": best["loss_per_token"], "steps_planned": steps_done * 2}
    write_jsonl(folder / "training_log.jsonl", log)
    write_json(folder / "training.json", training)
    provenance = {"seconds": {"train": 12.5, "load": 1.0}, "fingerprint": "ab" * 8}
    provenance |= {"device": {"kind": "cpu", "precision": "fp32"}, "code": "c" * 16}
    provenance |= {"data": {"train": "1" * 64, "val": "2" * 64}, "peak_memory_mib": 900}
    provenance |= {"base": {"folder": "base", "digest": "3" * 64}, "lock": "4" * 64}
    provenance |= {"versions": {"torch": "2.13.0"}, "git": {"commit": "f" * 40, "dirty": False}}
    provenance |= {"model": {"parameters": 2_700_000, "sha256": "5" * 64, "bytes": 1}}
    write_json(folder / "provenance.json", provenance)
    write_predictions(folder / "predictions.parquet", test_rows, exact_match)
    scores = [
        {"split": split, "task": task, "metric": metric, "value": value}
        | {"low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05), "n": test_rows}
        for split in ("val", "test", "train")
        for task in ("all", *TASKS)
        for kind in ("", "_decoded")
        for metric, value in ((f"rouge_l{kind}", rouge_l), (f"exact_match{kind}", exact_match))
    ]
    scores += [
        {"split": "val", "task": task, "metric": metric, "value": best[metric]}
        | {"low": None, "high": None, "n": test_rows}
        for task in ("all", *TASKS)
        for metric in ("eval_loss", "loss_per_token")
    ]
    write_json(folder / "scores.json", {**key, "scores": scores})
    executed = [
        {"split": "test", "task": task, "metric": "execution_accuracy", "value": exact_match}
        | {"low": 0.0, "high": 1.0, "n": test_rows}
        for task in ("all", "Decomposer", "Refiner")
    ]
    write_json(folder / "sql_scores.json", {**key, "scores": executed})
    told = [
        {"split": split, "idx": first + place, "task": TASKS[place % 3]}
        | {"verdict": "error", "error": "no such column: a"}
        | {"schema": "# Table: t\n[\n  (a, a.)\n]"}
        | {"hardness": ("easy", "medium", "hard", "extra")[place % 4]}
        | {"execution_accuracy": float(place % 2) if place % 3 else None}
        for split, first in (("val", 0), ("test", 100), ("train", 200))
        for place in range(test_rows)
    ]
    write_parquet(folder / "verdicts.parquet", pa.Table.from_pylist(told))
    return folder


def write_predictions(path: Path, count: int, exact_match: float) -> None:
    rows = []
    for split, first in (("val", 0), ("test", 100), ("train", 200)):
        for place in range(count):
            idx = first + place
            gold = f"```sql\nSELECT a FROM t WHERE id < {idx}\n```"
            right = place < round(exact_match * count)
            rows.append(
                {
                    "split": split,
                    "idx": idx,
                    "task": TASKS[place % 3],
                    "gold": gold,
                    "gold_decoded": gold.replace("`", "").replace("<", ""),
                    "prediction": gold if right else "SELECT </script> a FROM t",
                    "prediction_tokens": 9,
                    "cut": place % 4 == 3,
                    "question": f"Question {idx}?",
                    "db_id": "shop",
                }
            )
    write_parquet(path, pa.Table.from_pylist(rows))


def make_all_runs(root: Path, seeds: tuple[int, ...] = (42,)) -> list[Path]:
    """The report's eight runs under three recipes; `repaired` answers some rows exactly."""
    folders = []
    for name in RECIPES:
        quality = {"rouge_l": 0.6, "exact_match": 0.25} if name == "repaired" else {}
        for seed in seeds:
            for run, sampling in (("exp1_natural", "natural"), ("exp1_balanced", "balanced")):
                extra = {"batch_size": 1, "experiment": 1, "sampling": sampling}
                folders.append(make_run(root, recipe(name), run, seed=seed, **extra, **quality))
            for run, (batch, value) in GRID.items():
                extra = {"batch_size": batch, "learning_rate": value, "end": 0.35 - 900 * value}
                extra["stopped_early"] = batch == 8
                folders.append(make_run(root, recipe(name), run, seed=seed, **extra, **quality))
    return folders


def read_back(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def make_fit(path: Path, recipe_settings: dict[str, Any]) -> Path:
    """A fit audit: `full` prompts lose question and targets, `compact` ones keep all."""
    whole = recipe_settings["prompt"] == "compact"
    facts = {
        task: {
            "rows": rows,
            "question_kept": rows if whole or task == "Refiner" else 0,
            "distinct_inputs": rows if whole or task == "Refiner" else 1,
            "targets_surviving": rows if whole else 0,
            "max_exact_match": 1.0 if whole else 0.0,
            "max_exact_match_decoded": 1.0,
            "longer_than_generation": 0.0 if whole else 0.4,
            "targets_cut": 0,
        }
        for task, rows in (("Selector", 1009), ("Decomposer", 2029), ("Refiner", 337))
    }
    counts = ("rows", "question_kept", "distinct_inputs", "targets_surviving", "targets_cut")
    together = {key: sum(each[key] for each in facts.values()) for key in counts}
    together |= {"max_exact_match": float(whole), "longer_than_generation": 0.0 if whole else 0.4}
    together["max_exact_match_decoded"] = 1.0
    audit = {"recipe": recipe_settings["name"], "settings": recipe_settings}
    write_json(path, {**audit, "tasks": facts, "all": together})
    return path


def make_lengths(path: Path, seed: int = 0) -> Path:
    rng = random.Random(seed)
    rows = []
    for task, source in (("Selector", 1600), ("Decomposer", 2500), ("Refiner", 900)):
        for _ in range(60):
            row = {"idx": len(rows), "task": task, "source_words": int(rng.gauss(source / 2, 90))}
            row |= {"target_words": rng.randint(5, 90)}
            row |= {"source_tokens": int(rng.gauss(source, 200))}
            rows.append(row | {"target_tokens": row["target_words"] * 3})
    write_parquet(path, pa.Table.from_pylist(rows))
    return path


def make_data(folder: Path) -> None:
    """What the data rules leave, as far as the report reads it."""
    make_rows(folder / "rows.parquet", {"Selector": 30, "Decomposer": 60, "Refiner": 10})
    make_lengths(folder / "lengths.parquet")
    profile = {"rows": 100, "tasks": {"Selector": 30, "Decomposer": 60, "Refiner": 10}}
    profile |= {"duplicates": {"source and target": {"rows": 0}}}
    profile |= {"empty": {task: {"source": 0, "target": 0} for task in TASKS}}
    write_json(folder / "profile.json", {**profile, "anomalies": {"long line": {"rows": 2}}})
    write_json(folder / "reading.json", {"is_the_reports_file": False})


def make_results(results: Path, seeds: tuple[int, ...] = (42,)) -> None:
    """A whole results folder before the report: data, audits, all runs of three recipes."""
    make_data(results / "data")
    for name in RECIPES:
        make_fit(results / "fit" / f"{name}.json", recipe(name))
    make_all_runs(results / "runs", seeds)
    for seed in seeds:
        for name, batch in (("exp2_bs4", 4), ("exp2_bs8", 8)):
            extra = {"seed": seed, "experiment": 2, "batch_size": batch}
            make_run(results / "runs", recipe("as_run"), name, **extra)
