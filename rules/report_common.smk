# What the rules of the report share: names, categories, and which runs a result is made from.
from workflow_scripts.config import ablation_names
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
# What the tables are made from; a rule that executes the SQL of each run adds sql_scores.json.
SCORES = ["scores.json"] + (
    ["sql_scores.json", "verdicts.parquet"] if DATABASES else []
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


# File of a caption -> its text; write_captions writes what the rules have declared by then.
CAPTIONS = {}


def in_report(path, module, category, label, caption="CAPTION"):
    """Mark an output for the report, with the caption in workflow_scripts/report/<module>.

    Category and label may be functions of the wildcards; what has a recipe is listed by it.
    """
    file = f"results/report/captions/{module}.{caption}.rst"
    CAPTIONS[file] = read_caption(f"report.{module}", caption)

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


def figure(module, category, label, name=None):
    """What a rule declares as outputs of a figure. `name` of the files, where not the module's."""
    path = f"{FIGURES}/{name or module}"
    return {
        "svg": in_report(f"{path}.svg", f"figures.{module}", category, label),
        "png": f"{path}.png",
    }


def look(kind=None, note=NOTE):
    """How one kind of figure looks: the settings for all, over them its own. Pages have the note."""
    styles = (config["figures"].get("style") or {}) if kind else {}
    style = {**styles.get("all", {}), **styles.get(kind, {})}
    return settings_json({"note": note, "style": style})


def files_of(folders, *names):
    return [f"{folder}/{name}" for folder in folders for name in names]


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def any_figure(figures):
    """A pattern for the name of any figure of any recipe."""
    names = {name for of_recipe in figures.values() for name in of_recipe}
    return "|".join(re.escape(name) for name in sorted(names))


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
