# What the rules of the report share: names, categories, and which runs a result is made from.
from workflow_scripts.report.figures.catalogue import list_figures, training_order


def seeds_used(seeds):
    """The seeds behind a figure, for its small print."""
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return which + f", the first of {len(SEEDS)}" * (len(seeds) < len(SEEDS))


FIGURES = "results/figures"
TABLES = "results/tables"
FIT = [f"results/fit/{recipe}.json" for recipe in RECIPES]
OF_RUNS = {"answers": "results/answers.parquet", "scores": "results/scores.parquet"}
NOTE = config["figures"].get("format_note")
NOTE = origin_note(config) if NOTE is None else NOTE
HUB_NAME = config["model"]["base"] if config["model"].get("revision") else None
# Experiment 4: whose best runs answer, and the test rows that they are asked, where there are any.
TEST_ROWS = [TEST_FILES["test"]] * any(
    "test" in splits_tested(config, recipe) for recipe in RECIPES
)
ABLATION_IN_REPORT = config["ablation"]["in_report"]
ABLATION = [f"{TABLES}/ablation.csv"] * ABLATION_IN_REPORT
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


# Filled by the rules that make what the report shows:
REPORT_PARTS = []  # all files of the report
SECTIONS = []  # what results/report.html shows


def in_report(path, caption, category, label, table=None):
    """Mark an output for the report; `caption` is its text.

    `table`: what a CSV file is shown as (report/sections.py); otherwise it is a download.
    """
    section = {"chapter": CATEGORIES[category], "title": label, "file": path}
    SECTIONS.append(section | {"caption": caption, "table": table})
    REPORT_PARTS.append(path)
    return report(path, category=CATEGORIES[category], labels={"result": label})


def table(name, category, label, shown=True):
    """Mark results/tables/<name>.csv for the report; `shown` as a table, else as a download."""
    text = (ROOT / f"resources/captions/{name}.rst").read_text(encoding="utf-8")
    return in_report(
        f"{TABLES}/{name}.csv", text, category, label, name if shown else None
    )


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def best_run(recipe):
    with open(checkpoints.choose_best.get().output[0]) as file:
        return json.load(file)["recipes"][recipe]


def files_of_best(*names):
    """An input function: files in the folder of the best run of the recipe in the wildcards."""
    return lambda wildcards: files_of(
        [RUN.format(**best_run(wildcards.recipe))], *names
    )


def best_rows(part):
    """An input function: the rows that the best runs were trained or validated on, by recipe."""

    def rows(wildcards):
        chosen = map(best_run, RECIPES)
        return [
            sample_files(best["recipe"], best["run"], best["seed"])[part]
            for best in chosen
        ]

    return rows


def look(figure):
    """Its small print (what was used) and matplotlib's settings: for all, over them its kind's."""
    styles = config["figures"].get("style") or {}
    note = config["figures"].get("format_note")
    return {
        "note": ", ".join(map(USED.get, figure["made_with"])) if note is None else note,
        "style": {**styles.get("all", {}), **styles.get(figure["kind"], {})},
    }


def drawn_from(figure):
    """What a figure is drawn from beside the inputs of the rule (report/figures/plot.py)."""
    of_losses = [
        (recipe, run)
        for recipe, runs in figure.get("losses_of", {}).items()
        for run in runs
    ]
    shown = {"runs": RUN_SETS.get(figure.get("runs"), [])}
    if of_losses:
        shown = {
            "runs": [
                folder
                for recipe, run in of_losses
                for folder in first_seed(recipe, [run])
            ],
            "rows": [sample_files(*each, SEEDS[0])["train"] for each in of_losses],
            # Published points are comparable on the report's own rows and model alone.
            "published": REPORTS_ROWS and not OWN_MODEL,
        }
    return {"kind": figure["kind"], **shown, **look(figure)}


def figure_files(figures):
    """The outputs of what draws some figures, as SVG and then as PNG."""
    names = [each["name"] for each in figures]
    svg = [
        in_report(
            f"{FIGURES}/{each['name']}.svg",
            each["caption"],
            each["chapter"],
            each["label"],
        )
        for each in figures
    ]
    png = [f"{FIGURES}/{name}.png" for name in names]
    REPORT_PARTS.extend(png)
    return svg + png
