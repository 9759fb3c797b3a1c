# In:  rows.parquet, lengths.parquet, fit audits, and what every run left under results/runs/.
# Out: results/figures/, each as SVG and PNG. Module and caption: workflow_scripts/report/figures/.
from workflow_scripts.report.figures.loss_figures import (
    loss_figures,
    task_loss_figures,
    training_order,
)

RUNS = {recipe: runs_of(config, recipe) for recipe in RECIPES}
LOSSES = {recipe: loss_figures(RUNS[recipe]) for recipe in RECIPES}
TASK_LOSSES = {recipe: task_loss_figures(RUNS[recipe]) for recipe in RECIPES}
GRIDS = [recipe for recipe in RECIPES if run_dirs([recipe], experiment=3)]
CARRIED = [
    recipe
    for recipe in RECIPES
    if any(run["starts_from"] in RUNS[recipe] for run in RUNS[recipe].values())
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


rule plot_tasks:
    input:
        rows="results/data/rows.parquet",
    output:
        **figure("tasks", "data", "3.1 Rows by task", name="figure_3.1_tasks"),
    log:
        "logs/report/plot_tasks.log",
    conda:
        "../envs/essence.yaml"
    params:
        # No model takes part.
        **look("tasks", note=NOTE.split(",")[0] if TWIN else ""),
    message:
        "Figure 3.1"
    shell:
        stage_command("report.figures.tasks")


rule plot_lengths:
    input:
        lengths="results/data/lengths.parquet",
    output:
        **figure("lengths", "data", "3.1 Length of source and target"),
    log:
        "logs/report/plot_lengths.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("lengths"),
        limits=settings_json(CUTS),
    message:
        "Box plots of lengths"
    shell:
        stage_command("report.figures.lengths")


rule plot_fit:
    input:
        fit=FIT,
    output:
        **figure("fit", "fit", "What each recipe leaves of the rows"),
    log:
        "logs/report/plot_fit.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("fit"),
    message:
        "The fit audit as a figure"
    shell:
        stage_command("report.figures.fit")


# Figures 5.1, 5.3, 5.5 to 5.7, and those of runs that the report does not have.
rule plot_losses:
    input:
        lambda w: files_of(
            first_seed(w.recipe, LOSSES[w.recipe][w.figure].runs),
            "training.json",
            "training_log.jsonl",
        ),
        # Published points are comparable on the report's own rows and model alone.
        published=PUBLISHED if REPORTS_ROWS and not OWN_MODEL else [],
    output:
        **loss_figure("losses", LOSSES),
    log:
        "logs/report/plot_losses/{figure}_{recipe}.log",
    wildcard_constraints:
        figure=any_figure(LOSSES),
    conda:
        "../envs/essence.yaml"
    params:
        **look("losses"),
        runs=lambda w: first_seed(w.recipe, LOSSES[w.recipe][w.figure].runs),
        title=lambda w: f"{LOSSES[w.recipe][w.figure].title} ({w.recipe})",
    message:
        "Training and evaluation loss: {wildcards.figure} ({wildcards.recipe})"
    shell:
        stage_command("report.figures.losses")


rule plot_task_losses:
    input:
        lambda w: files_of(
            first_seed(w.recipe, TASK_LOSSES[w.recipe][w.figure].runs),
            "training.json",
            "training_log.jsonl",
        ),
        rows=lambda w: sample_files(
            w.recipe, TASK_LOSSES[w.recipe][w.figure].runs[0], SEEDS[0]
        )["train"],
    output:
        **loss_figure("task_losses", TASK_LOSSES),
    log:
        "logs/report/plot_task_losses/{figure}_{recipe}.log",
    wildcard_constraints:
        figure=any_figure(TASK_LOSSES),
    conda:
        "../envs/essence.yaml"
    params:
        **look("task_losses"),
        runs=lambda w: first_seed(w.recipe, TASK_LOSSES[w.recipe][w.figure].runs),
        title=lambda w: f"{TASK_LOSSES[w.recipe][w.figure].title} ({w.recipe})",
    message:
        "Training loss by task: {wildcards.figure} ({wildcards.recipe})"
    shell:
        stage_command("report.figures.task_losses")


rule plot_heatmap:
    input:
        lambda w: files_of(
            run_dirs([w.recipe], experiment=3), "training.json", "scores.json"
        ),
        published=PUBLISHED,
    output:
        **figure_by_recipe("heatmap", "exp3", "Learning rate x batch size", GRIDS),
    log:
        "logs/report/plot_heatmap_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("heatmap"),
        runs=lambda w: run_dirs([w.recipe], experiment=3),
    message:
        "Learning rate x batch size ({wildcards.recipe})"
    shell:
        stage_command("report.figures.heatmap")


rule plot_execution:
    input:
        files_of(run_dirs(), "training.json", "verdicts.parquet"),
    output:
        **figure(
            "execution",
            "results",
            "5 Execution accuracy by task and hardness",
            instances=[{}] if DATABASES else [],
        ),
    log:
        "logs/report/plot_execution.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("execution"),
        runs=run_dirs(),
    message:
        "Execution accuracy by task and hardness"
    shell:
        stage_command("report.figures.execution")


rule plot_carried_weights:
    input:
        lambda w: files_of(
            first_seed(w.recipe, RUNS[w.recipe]), "training.json", "provenance.json"
        ),
        published=PUBLISHED,
    output:
        **figure_by_recipe(
            "carried_weights", "claims", "2 The chain of carried weights", CARRIED
        ),
    log:
        "logs/report/plot_carried_weights_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("carried_weights"),
        runs=lambda w: first_seed(w.recipe, training_order(RUNS[w.recipe])),
    message:
        "The chain of carried weights ({wildcards.recipe})"
    shell:
        stage_command("report.figures.carried_weights")
