# What the rules of the report share: names, categories, and which runs a result is made from.


def seeds_used(seeds):
    """The seeds behind a figure, for its small print."""
    if len(seeds) == len(SEEDS) > 1:
        return f"{len(seeds)} seeds"
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return f"{which}{f', the first of {len(SEEDS)}' * (len(seeds) < len(SEEDS))}"


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

    Without `instances` the report does not show it. `table`: what a CSV file is shown as
    (report/sections.py); otherwise it is a download.
    """
    if not instances:
        return path
    section = {"chapter": CATEGORIES[category], "title": label, "file": path}
    SECTIONS.append(section | {"caption": caption, "table": table})
    REPORT_PARTS.append(path)
    return report(path, category=CATEGORIES[category], labels={"result": label})


def table(name, category, label, caption=None, instances=({},), shown=True):
    """Mark results/tables/<name>.csv for the report; `shown` as a table, else as a download."""
    text = read_text(f"resources/captions/{caption or name}.rst")
    shown_as = (caption or name) if shown else None
    return in_report(f"{TABLES}/{name}.csv", text, category, label, instances, shown_as)


def read_text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def figure_files(*kinds):
    """The outputs of what draws all figures of some kinds, as SVG and then as PNG."""
    shown = [each for each in FIGURES_SHOWN if each.kind in kinds]
    svg = [
        in_report(
            f"{FIGURES}/{each.name}.svg",
            read_text(f"resources/captions/figures/{each.kind}.rst"),
            each.chapter,
            each.label,
        )
        for each in shown
    ]
    png = [f"{FIGURES}/{each.name}.png" for each in shown]
    REPORT_PARTS.extend(png)
    return svg + png


def look(kind):
    """The small print of a figure (what was used), and matplotlib's settings: those for all, over
    them its kind's own."""
    styles = config["figures"].get("style") or {}
    note = config["figures"].get("format_note")
    return {
        "note": ", ".join(USED[kind]) if note is None else note,
        "style": {**styles.get("all", {}), **styles.get(kind, {})},
    }


def figure_settings(*kinds):
    """What figures of some kinds are drawn from, beside the inputs, by name."""
    return {
        each.name: settings_of_figure(each)
        for each in FIGURES_SHOWN
        if each.kind in kinds
    }


def settings_of_figure(figure):
    settings = {"kind": figure.kind, **look(figure.kind)}
    match figure.kind:
        case "losses":
            # Published points are comparable on the report's own rows and model alone.
            settings["published"] = REPORTS_ROWS and not OWN_MODEL
            settings["runs"] = runs_shown(figure)
        case "task_losses":
            settings["runs"] = runs_shown(figure)
            settings["rows"] = [
                sample_files(recipe, run, SEEDS[0])["train"]
                for recipe, runs in figure.runs.items()
                for run in runs
            ]
        case "carried_weights":
            settings["runs"] = CARRIED
        case "heatmap":
            settings["runs"] = GRID
        case "execution":
            settings["runs"] = run_dirs()
    return settings


def files_in_losses(key):
    """The runs, or the rows, of all figures of losses, each once."""
    named = [each.get(key, []) for each in figure_settings(*OF_LOSSES).values()]
    return list(dict.fromkeys(itertools.chain.from_iterable(named)))


def first_seed(recipe, runs):
    return [RUN.format(recipe=recipe, run=run, seed=SEEDS[0]) for run in runs]


def runs_shown(figure):
    """Folders of the runs in a figure of losses: the first seed of each, by recipe."""
    return [
        folder
        for recipe, runs in figure.runs.items()
        for folder in first_seed(recipe, runs)
    ]


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
