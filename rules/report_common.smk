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
TABLES_KNOWN = yaml.safe_load(
    (ROOT / "resources/tables.yaml").read_text(encoding="utf-8")
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


# Filled by the rules that make what the report shows:
REPORT_PARTS = []  # all files of the report
SECTIONS = []  # what results/report.html shows


def show(path, entry, label, table=None):
    """Show a file on the page by its entry in resources/figures.yaml or resources/tables.yaml.

    `table`: the table that the section is (report/sections.py), where it is not the file itself.
    """
    chapter = CATEGORIES[entry["chapter"]]
    section = {"chapter": chapter, "title": label, "file": path, "table": table}
    SECTIONS.append(section | {"caption": entry["caption"]})


def in_report(path, entry, label, table=None):
    """Show an output and mark it for Snakemake's own report."""
    show(path, entry, label, table)
    REPORT_PARTS.append(path)
    chapter = CATEGORIES[entry["chapter"]]
    return report(path, category=chapter, labels={"result": label})


def table(name):
    """Mark results/tables/<name>.csv for the report."""
    entry = TABLES_KNOWN[name]
    shown = None if entry.get("download") else name
    return in_report(f"{TABLES}/{name}.csv", entry, entry["title"], shown)


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
    return lambda wildcards: [
        sample_files(best["recipe"], best["run"], best["seed"])[part]
        for best in map(best_run, RECIPES)
    ]


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
    runs = [
        (recipe, run)
        for recipe, names in figure.get("losses_of", {}).items()
        for run in names
    ]
    shown = {"runs": RUN_SETS.get(figure.get("runs"), [])}
    if runs:
        shown = {
            "runs": [
                RUN.format(recipe=recipe, run=run, seed=SEEDS[0])
                for recipe, run in runs
            ],
            "rows": [sample_files(*each, SEEDS[0])["train"] for each in runs],
            # Published points are comparable on the report's own rows and model alone.
            "published": REPORTS_ROWS and not OWN_MODEL,
        }
    return {"kind": figure["kind"], **shown, **look(figure)}


def figure_files(figures):
    """The outputs of what draws some figures, as SVG and then as PNG."""
    svg = [
        in_report(f"{FIGURES}/{each['name']}.svg", each, each["label"])
        for each in figures
    ]
    png = [f"{FIGURES}/{each['name']}.png" for each in figures]
    REPORT_PARTS.extend(png)
    return svg + png
