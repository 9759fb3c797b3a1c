"""The tables of docs/results.md come from the files of a run, and only those that it has."""

import pandas as pd

from tools.results_tables import TABLES, filled, results_tables
from workflow_scripts.tables import write_csv

PAGE_TEXT = """Before.
<!-- table: runs -->
old runs
<!-- end -->
<!-- table: agents -->
old agents
<!-- end -->
<!-- table: claims -->
old claims
<!-- end -->
"""


def test_tables_are_made_again_where_the_run_has_them(tmp_path):
    (tmp_path / "tables").mkdir()
    run = ("repaired", "exp5_long")
    means = [
        (*run, "val", "all", "eval_loss", 1, 0.116, None, None, None),
        (*run, "test", "all", "exact_match", 1, 0.456, 0.36, 0.56, "rows"),
    ]
    columns = ["recipe", "run", "split", "task", "metric", "seeds", "mean", "low", "high", "over"]
    write_csv(tmp_path / "tables/over_seeds.csv", pd.DataFrame(means, columns=columns))
    score = {"setup": "all agents", "split": "test", "n": 30, "value": 0.53, "low": 0.36}
    score |= {"high": 0.7, "difference": None, "difference_low": None, "difference_high": None}
    write_csv(tmp_path / "tables/agents.csv", pd.DataFrame([score]))
    page = tmp_path / "page.md"
    page.write_text(PAGE_TEXT, encoding="utf-8")
    results_tables(tmp_path, ["runs", "claims"], page)
    text = page.read_text(encoding="utf-8")
    assert "| repaired | exp5_long | 0.12 |" in text and "| 0.46 |" in text
    assert "old runs" not in text and "old agents" in text and "old claims" in text
    text = filled(text, tmp_path, TABLES)
    assert "| all agents | test | 30 | 0.53 [0.36, 0.70] | - |" in text and "old claims" in text
