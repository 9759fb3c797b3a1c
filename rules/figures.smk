# In:  rows.parquet, lengths.parquet, fit audits, and what every run left under results/runs/.
# Out: results/figures/, each as SVG and PNG. Module and caption: workflow_scripts/report/figures/.
from workflow_scripts.report.figures.loss_figures import (
    loss_figures,
    task_loss_figures,
    training_order,
)

RUNS = {recipe: runs_of(config, recipe) for recipe in RECIPES}
GRIDS = [recipe for recipe in RECIPES if run_dirs([recipe], experiment=3)]
CARRIED = [
    recipe
    for recipe in RECIPES
    if any(run["starts_from"] != "base" for run in RUNS[recipe].values())
]
# The lengths are those of the whole prompt: a compact prompt is cut elsewhere.
CUTS = {
    recipe: {
        side: config["recipes"][recipe][side]
        for side in ("source_tokens", "target_tokens")
        if side == "target_tokens" or config["recipes"][recipe]["prompt"] == "full"
    }
    for recipe in RECIPES
}


figure(
    "plot_tasks",
    "figures.tasks",
    "Figure 3.1",
    "data",
    "3.1 Rows by task",
    file="figure_3.1_tasks",
    inputs={"rows": "results/data/rows.parquet"},
    params={"note": NOTE.split(",")[0] if TWIN else ""},  # no model takes part
)
figure(
    "plot_lengths",
    "figures.lengths",
    "Box plots of lengths",
    "data",
    "3.1 Length of source and target",
    inputs={"lengths": "results/data/lengths.parquet"},
    params={"limits": settings_json(CUTS)},
)
figure(
    "plot_fit",
    "figures.fit",
    "The fit audit as a figure",
    "fit",
    "What each recipe leaves of the rows",
    inputs={"fit": FIT},
)


def figure_of_losses(name, stage, message, figures, inputs):
    """`figures`: recipe -> name -> LossFigure; the wildcards name one of them."""
    names = {each for of_recipe in figures.values() for each in of_recipe}
    instances = [
        {"figure": each, "recipe": recipe}
        for recipe, of_recipe in figures.items()
        for each in of_recipe
    ]
    shown = lambda w: figures[w.recipe][w.figure]
    figure(
        name,
        stage,
        f"{message}: {{wildcards.figure}} ({{wildcards.recipe}})",
        lambda w: "exp1" if shown(w).experiment == 1 else "exp3",
        lambda w: shown(w).label,
        file="{figure}_{recipe}",
        instances=instances,
        inputs=inputs,
        runs=lambda w: first_seed(w.recipe, shown(w).runs),
        reads=("training.json", "training_log.jsonl"),
        params={"title": lambda w: f"{shown(w).title} ({w.recipe})"},
        constraints={"figure": "|".join(map(re.escape, sorted(names)))},
    )


# Figures 5.1, 5.3, 5.5 to 5.7, and those of runs that the report does not have.
figure_of_losses(
    "plot_losses",
    "figures.losses",
    "Training and evaluation loss",
    {recipe: loss_figures(RUNS[recipe]) for recipe in RECIPES},
    # Published points are comparable on the report's own rows and model alone.
    inputs={"published": PUBLISHED if REPORTS_ROWS and not OWN_MODEL else []},
)
TASK_LOSSES = {recipe: task_loss_figures(RUNS[recipe]) for recipe in RECIPES}
figure_of_losses(
    "plot_task_losses",
    "figures.task_losses",
    "Training loss by task",
    TASK_LOSSES,
    inputs={
        "rows": lambda w: sample_files(
            w.recipe, TASK_LOSSES[w.recipe][w.figure].runs[0], SEEDS[0]
        )["train"]
    },
)
figure(
    "plot_heatmap",
    "figures.heatmap",
    "Learning rate x batch size ({wildcards.recipe})",
    "exp3",
    "Learning rate x batch size",
    file="heatmap_{recipe}",
    instances=by_recipe(GRIDS),
    inputs={"published": PUBLISHED},
    runs=lambda w: run_dirs([w.recipe], experiment=3),
    reads=("training.json", "scores.json"),
)
figure(
    "plot_execution",
    "figures.execution",
    "Execution accuracy by task and hardness",
    "results",
    "5 Execution accuracy by task and hardness",
    instances=[{}] if DATABASES else [],
    runs=run_dirs(),
    reads=("training.json", "verdicts.parquet"),
)
figure(
    "plot_carried_weights",
    "figures.carried_weights",
    "The chain of carried weights ({wildcards.recipe})",
    "claims",
    "2 The chain of carried weights",
    file="carried_weights_{recipe}",
    instances=by_recipe(CARRIED),
    inputs={"published": PUBLISHED},
    runs=lambda w: first_seed(w.recipe, training_order(RUNS[w.recipe])),
    reads=("training.json", "provenance.json"),
)
