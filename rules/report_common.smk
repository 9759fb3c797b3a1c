# What the rules of the report share: names, categories, and which runs a result is made from.
from workflow_scripts.config import ablation_names

PUBLISHED = "resources/published.json"
FIGURES = "results/figures"
TABLES = "results/tables"
NOTE = config["figures"].get("format_note")
NOTE = origin_note(config) if NOTE is None else NOTE
BEST = config["best_run"]
BEST_HAS_TEST = keeps_test(config, BEST["recipe"])
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


def style_of(figure):
    """matplotlib settings of one kind of figure: those for all, then its own."""
    styles = config["figures"].get("style") or {}
    return settings_json({**styles.get("all", {}), **styles.get(figure, {})})


def in_report(path, caption, category, label, recipe=None):
    """Mark a file for the report; what has a recipe is listed by it."""
    labels = {"result": label} | ({"recipe": recipe} if recipe else {})
    return report(
        path,
        caption=f"captions/{caption}.rst",
        category=CATEGORIES[category],
        labels=labels,
    )


def files_of(folders, *names):
    return [f"{folder}/{name}" for folder in folders for name in names]


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def category_of(figure):
    return "exp1" if figure.split("_")[1] in ("5.1", "5.2", "5.3", "5.4") else "exp3"


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
