"""SQL by what it returns, as an `evaluate` metric that loads from this folder, without a hub."""

from pathlib import Path

import datasets
import evaluate

from workflow_scripts.metrics.execution_verdicts import Case, judge
from workflow_scripts.metrics.score import summary
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.execute import Limits, Sandbox

_DESCRIPTION = """\
Runs predicted and reference SQL read-only in a sandbox and compares the results:
execution_accuracy (EX, BIRD: same set of rows), execution_match (Spider test suite: same bag for
some order of the columns, on every instance of the database), soft_f1, ves and r_ves (BIRD and its
mini-dev; soft_f1 depends on the order of rows, the other two on the machine), executable_rate, and
EX apart for rows whose reference returns nothing.
"""
_CITATION = """\
@inproceedings{li-2023-bird,
    title = "Can {LLM} Already Serve as A Database Interface? A {BI}g Bench for Large-Scale Database
             Grounded Text-to-{SQL}s",
    author = "Li, Jinyang and others", booktitle = "NeurIPS Datasets and Benchmarks", year = "2023",
    url = "https://arxiv.org/abs/2305.03111",
}
@inproceedings{zhong-2020-semantic,
    title = "Semantic Evaluation for Text-to-{SQL} with Distilled Test Suites",
    author = "Zhong, Ruiqi and Yu, Tao and Klein, Dan", booktitle = "EMNLP", year = "2020",
    url = "https://aclanthology.org/2020.emnlp-main.29",
}
"""
_INPUTS = (
    "predictions, references: SQL; databases: paths of SQLite files; seconds (30); repeat (10)."
)


class Execution(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        names = ("predictions", "references", "databases")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(dict.fromkeys(names, text)),
            reference_urls=[
                "https://github.com/AlibabaResearch/DAMO-ConvAI/tree/main/bird",
                "https://github.com/bird-bench/mini_dev",
                "https://github.com/taoyds/test-suite-sql-eval",
            ],
        )

    def _compute(self, predictions, references, databases, seconds=30.0, repeat=10):
        cases = [
            Case(database, "", gold, sql, Path(database))
            for sql, gold, database in zip(predictions, references, databases, strict=True)
        ]
        with Sandbox(Limits(seconds=seconds)) as sandbox:
            verdicts = judge(cases, CachedSandbox(sandbox), repeat)
        return {name: score["value"] for name, score in summary(verdicts).items()}
