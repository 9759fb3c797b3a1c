# What the rules of the report share: names, categories, and which runs a result is made from.
from types import SimpleNamespace

from workflow_scripts.config import generating_less
from workflow_scripts.report.captions import caption as read_caption


def seeds_used(seeds):
    """The seeds behind a figure, for its small print."""
    if len(seeds) == len(SEEDS) > 1:
        return f"{len(seeds)} seeds"
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return f"{which}{f', the first of {len(SEEDS)}' * (len(seeds) < len(SEEDS))}"


PUBLISHED = "resources/published.json"
FIGURES = "results/figures"
TABLES = "results/tables"
NOTE = config["figures"].get("format_note")
NOTE = origin_note(config) if NOTE is None else NOTE
# What a figure can be made with, for its small print.
ROWS_USED, MODEL_USED = rows_used(config), model_used(config)
TOKENIZER_USED = f"tokenizer of the {MODEL_USED.removeprefix('the ')}"
SEEDS_USED = seeds_used(SEEDS)
FIRST_SEED_USED = seeds_used(SEEDS[:1])
ABLATION_SEEDS = SEEDS[: config["ablation"]["seeds"]]
# Experiment 4: whose best runs answer, and the test rows that they are asked, where there are any.
EXAMPLE_RECIPES = example_recipes(config)
TEST_ROWS = [TEST_FILES["test"]] * ("test" in splits_tested(config, EXAMPLE_RECIPES[0]))
ABLATION_IN_REPORT = config["ablation"]["in_report"]
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


def in_report(path, caption, category, label, instances=({},), table=None):
    """Mark an output for the report; `caption` is its text.

    A path with wildcards has as many `instances` as are listed, each with their values. Category
    and label may be functions of the wildcards. `table`: what a CSV file is shown as
    (report/sections.py); otherwise it is a download.
    """

    def value(text, wildcards):
        return text(wildcards) if callable(text) else text

    for values in instances:
        wildcards = SimpleNamespace(**values)
        SECTIONS.append(
            {
                "chapter": CATEGORIES[value(category, wildcards)],
                "title": value(label, wildcards),
                "file": path.format(**values),
                "caption": caption,
                "table": table,
            }
        )
        REPORT_PARTS.append(path.format(**values))
    return report(
        path,
        category=lambda w: CATEGORIES[value(category, w)],
        labels=lambda w: {"result": value(label, w)},
    )


def table(name, category, label, caption=None, instances=({},), shown=True):
    """Mark results/tables/<name>.csv for the report; `shown` as a table, else as a download."""
    text = read_text(f"resources/captions/{caption or name}.rst")
    shown_as = (caption or name) if shown else None
    return in_report(f"{TABLES}/{name}.csv", text, category, label, instances, shown_as)


def read_text(path):
    return (Path(workflow.basedir) / path).read_text(encoding="utf-8")


def figure(stage, category, label, name=None, instances=({},)):
    """What a rule declares as outputs of a figure. `name` of the files, where not the stage's."""
    svg, png = (f"{FIGURES}/{name or stage}.{kind}" for kind in ("svg", "png"))
    REPORT_PARTS.extend(png.format(**values) for values in instances)
    caption = read_caption(f"report.figures.{stage}")
    marked = in_report(svg, caption, category, label, instances)
    return {"svg": marked, "png": png}


def loss_figure(stage, figures):
    """The same for all `figures` (name -> LossFigure) of a stage."""
    return figure(
        stage,
        lambda w: "exp1" if figures[w.figure].experiment == 1 else "exp3",
        lambda w: TITLES[w.figure].label,
        "{figure}",
        [{"figure": name} for name in figures],
    )


def look(kind, *used):
    """The settings of `save_figure`: the title, the small print (what was used), and
    matplotlib's settings, those for all, over them its kind's own."""
    styles = config["figures"].get("style") or {}
    note = config["figures"].get("format_note")
    return {
        "title": (
            TITLES[kind].title if kind in TITLES else lambda w: TITLES[w.figure].title
        ),
        "note": ", ".join(used) if note is None else note,
        "style": settings_json({**styles.get("all", {}), **styles.get(kind, {})}),
    }


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def runs_shown(figure):
    """Folders of the runs in a figure of losses: the first seed of each, by recipe."""
    return [
        folder
        for recipe, runs in figure.runs.items()
        for folder in first_seed(recipe, runs)
    ]


def any_of(names):
    """A pattern for one of the names; where there are none, for nothing."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


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
        chosen = map(best_run, EXAMPLE_RECIPES)
        return [
            sample_files(best["recipe"], best["run"], best["seed"])[part]
            for best in chosen
        ]

    return rows
