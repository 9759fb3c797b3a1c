# What the rules of the report share: names, categories, and which runs a result is made from.
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from snakemake.utils import format as filled_in

from workflow_scripts.config import ablation_names
from workflow_scripts.digest import code_digest
from workflow_scripts.report.captions import caption as read_caption

PUBLISHED = "resources/published.json"
FIGURES = "results/figures"
TABLES = "results/tables"
NOTE = config["figures"].get("format_note")
NOTE = origin_note(config) if NOTE is None else NOTE
BEST = config["best_run"]
ABLATION_IN_REPORT = config["ablation"]["in_report"]
BEST_HAS_TEST = keeps_test(config, BEST["recipe"])
TEST_ROWS = "results/data/test.parquet"
FIT = [f"results/fit/{recipe}.json" for recipe in RECIPES]
# What the tables are made from; a rule that executes the SQL of each run adds sql_scores.json.
SCORES = ("scores.json",) + (
    ("sql_scores.json", "verdicts.parquet") if DATABASES else ()
)
# Categories of the report, numbered so that they stand in its order.
CATEGORIES = {
    "data": "1 Data",
    "fit": "2 What the model sees",
    "exp1": "3 Experiment 1: mix of tasks",
    "exp3": "4 Experiments 2, 3 and 5: batch size, learning rate",
    "exp4": "5 Experiment 4: answers",
    "results": "6 Results",
    "claims": "7 Claims and artefacts",
    "runs": "8 Where the numbers come from",
}


REPORT_PARTS = []  # all files of the report; filled by what marks them for it
CAPTIONS = {}  # file of a caption -> its text; likewise
STAGES = []  # report.smk makes a rule of each


@dataclass
class ReportStage:
    """What the rule of a stage says beside what all of them say.

    `runs`: the run folders that it is given (a list, or a function of the wildcards), and `reads`
    the files that it reads in each of them.
    """

    name: str
    stage: str
    message: str
    outputs: dict
    inputs: dict = field(default_factory=dict)
    runs: Any = ()
    reads: tuple = ()
    params: dict = field(default_factory=dict)
    constraints: dict = field(default_factory=dict)

    def files(self, wildcards):
        runs = self.runs(wildcards) if callable(self.runs) else self.runs
        return [f"{run}/{name}" for run in runs for name in self.reads]

    @property
    def log(self):
        wildcards = re.findall(r"{\w+}", list(self.outputs.values())[-1])
        return f"logs/report/{'_'.join([self.name, *wildcards])}.log"

    @property
    def settings(self):
        code = code_digest(f"workflow_scripts.report.{self.stage}")
        return {"runs": self.runs, "code": code, **self.params}

    def command(self, wildcards, input, output):
        """The shell command, as a parameter: rules made in a loop have the text of it in common.

        Snakemake doesn't compare what follows from inputs and outputs, so `settings` stand beside.
        """
        given = SimpleNamespace()
        for name, value in self.settings.items():
            setattr(given, name, value(wildcards) if callable(value) else value)
        log = [self.log.format(**wildcards)]
        text = stage_command(f"report.{self.stage}")
        return filled_in(text, input=input, output=output, params=given, log=log)


def in_report(path, stage, category, label, caption="CAPTION", instances=({},)):
    """Mark an output for the report, with the caption in workflow_scripts/report/<stage>.

    A path with wildcards has as many `instances` as are listed, each with their values. Category
    and label may be functions of the wildcards; what has a recipe is listed by it.
    """
    suffix = caption.removeprefix("CAPTION").lower()
    file = f"results/report/captions/{stage}{suffix}.rst"
    CAPTIONS[file] = read_caption(f"report.{stage}", caption)
    REPORT_PARTS.extend(path.format(**values) for values in instances)

    def labels(wildcards):
        shown = label(wildcards) if callable(label) else label
        recipe = {"recipe": wildcards.recipe} if "{recipe}" in path else {}
        return {"result": shown, **recipe}

    return report(
        path,
        caption=f"../{file}",
        category=lambda w: CATEGORIES[category(w) if callable(category) else category],
        labels=labels,
    )


def figure(name, stage, message, category, label, file=None, instances=({},), **more):
    """A stage that draws `file` (without one: the module's name), as SVG and PNG.

    Its style is the configuration's for all figures, and over it the one for this kind.
    """
    kind = stage.split(".")[-1]
    svg, png = (f"{FIGURES}/{file or kind}.{suffix}" for suffix in ("svg", "png"))
    REPORT_PARTS.extend(png.format(**values) for values in instances)
    styles = config["figures"].get("style") or {}
    style = settings_json({**styles.get("all", {}), **styles.get(kind, {})})
    params = {"note": NOTE, "style": style, **more.pop("params", {})}
    outputs = more.pop("outputs", {}) | {
        "svg": in_report(svg, stage, category, label, instances=instances),
        "png": png,
    }
    STAGES.append(ReportStage(name, stage, message, outputs, params=params, **more))


def page(name, stage, message, file, category, label, instances=({},), **more):
    """A stage that makes an HTML page."""
    params = {"note": NOTE, **more.pop("params", {})}
    outputs = more.pop("outputs", {}) | {
        "page": in_report(file, stage, category, label, instances=instances)
    }
    STAGES.append(ReportStage(name, stage, message, outputs, params=params, **more))


def by_recipe(recipes):
    return [{"recipe": recipe} for recipe in recipes]


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def best_run(wildcards):
    with open(checkpoints.choose_best.get().output[0]) as file:
        return json.load(file)


def best_rows(part):
    """An input function: the rows that the best run was trained or validated on."""

    def rows(wildcards):
        best = best_run(wildcards)
        return sample_files(best["recipe"], best["run"], best["seed"])[part]

    return rows


def ablation_dirs():
    return [
        RUN.format(recipe=recipe, run=config["ablation"]["run"], seed=seed)
        for recipe in ablation_names(config)
        for seed in SEEDS
    ]
