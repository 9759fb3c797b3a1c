# In:  rows.parquet, lengths.parquet, fit audits, and what every run left under results/runs/.
# Out: results/figures/, each as SVG and PNG. Module and caption: workflow_scripts/report/figures/.
from workflow_scripts.report.figures.loss_figures import (
    Title,
    loss_figures,
    numbered,
    task_loss_figures,
    training_order,
)

RUNS = {recipe: runs_of(config, recipe) for recipe in RECIPES}
RATE_SCALE = config["training"]["learning_rate_scale"]
LOSSES = loss_figures(RUNS, RATE_SCALE)
TASK_LOSSES = task_loss_figures(RUNS, RATE_SCALE)
# All figures, in the order of the report.
TITLES = numbered(
    {
        "tasks": Title("3.1", "Rows by task"),
        "lengths": Title("", "Length of source and target by task"),
        "fit": Title("", "What each recipe leaves of the rows"),
        **{name: each for name, each in LOSSES.items() if each.experiment < 3},
        **TASK_LOSSES,
        **{name: each for name, each in LOSSES.items() if each.experiment == 3},
        "heatmap": Title("", "Learning rate and batch size (experiment 3)"),
        **{name: each for name, each in LOSSES.items() if each.experiment > 3},
        "execution": Title("", "Execution accuracy of each recipe's best run"),
        "agents": Title("", "What each agent is worth to the others"),
        "carried_weights": Title("", "The chain of carried weights"),
        "ablation": Title(
            "", f"What each repair is worth ({config['ablation']['run']})"
        ),
    }
)
GRID = run_dirs(experiment=3)
CARRIED = [
    folder
    for recipe in RECIPES
    if any(run["starts_from"] in RUNS[recipe] for run in RUNS[recipe].values())
    for folder in first_seed(recipe, training_order(RUNS[recipe]))
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
        **figure("tasks", "data", TITLES["tasks"].label, name="figure_3.1_tasks"),
    log:
        "logs/report/plot_tasks.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("tasks", ROWS_USED),
    message:
        "Figure 3.1"
    shell:
        stage_command("report.figures.tasks")


rule plot_lengths:
    input:
        lengths="results/data/lengths.parquet",
    output:
        **figure("lengths", "data", TITLES["lengths"].label),
    log:
        "logs/report/plot_lengths.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("lengths", ROWS_USED, TOKENIZER_USED),
        limits=settings_json(CUTS),
    message:
        "Box plots of lengths"
    shell:
        stage_command("report.figures.lengths")


rule plot_fit:
    input:
        fit=FIT,
    output:
        **figure("fit", "fit", TITLES["fit"].label),
    log:
        "logs/report/plot_fit.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("fit", ROWS_USED, TOKENIZER_USED),
    message:
        "The fit audit as a figure"
    shell:
        stage_command("report.figures.fit")


# Figures 5.1, 5.3, 5.5 to 5.7, and those of runs that the report does not have.
rule plot_losses:
    input:
        lambda w: files_of(
            runs_shown(LOSSES[w.figure]), "training.json", "training_log.jsonl"
        ),
        # Published points are comparable on the report's own rows and model alone.
        published=PUBLISHED if REPORTS_ROWS and not OWN_MODEL else [],
    output:
        **loss_figure("losses", LOSSES),
    log:
        "logs/report/plot_losses/{figure}.log",
    wildcard_constraints:
        figure=any_of(LOSSES),
    conda:
        "../envs/essence.yaml"
    params:
        **look("losses", ROWS_USED, MODEL_USED, FIRST_SEED_USED),
        runs=lambda w: runs_shown(LOSSES[w.figure]),
    message:
        "Training and evaluation loss: {wildcards.figure}"
    shell:
        stage_command("report.figures.losses")


rule plot_task_losses:
    input:
        lambda w: files_of(
            runs_shown(TASK_LOSSES[w.figure]), "training.json", "training_log.jsonl"
        ),
        rows=lambda w: [
            sample_files(recipe, run, SEEDS[0])["train"]
            for recipe, runs in TASK_LOSSES[w.figure].runs.items()
            for run in runs
        ],
    output:
        **loss_figure("task_losses", TASK_LOSSES),
    log:
        "logs/report/plot_task_losses/{figure}.log",
    wildcard_constraints:
        figure=any_of(TASK_LOSSES),
    conda:
        "../envs/essence.yaml"
    params:
        **look("task_losses", ROWS_USED, MODEL_USED, FIRST_SEED_USED),
        runs=lambda w: runs_shown(TASK_LOSSES[w.figure]),
    message:
        "Training loss by task: {wildcards.figure}"
    shell:
        stage_command("report.figures.task_losses")


rule plot_heatmap:
    input:
        files_of(GRID, "training.json"),
        scores="results/scores.parquet",
        published=PUBLISHED,
    output:
        **figure(
            "heatmap", "exp3", TITLES["heatmap"].label, instances=[{}] * bool(GRID)
        ),
    log:
        "logs/report/plot_heatmap.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("heatmap", ROWS_USED, MODEL_USED, SEEDS_USED),
        runs=GRID,
    message:
        "Learning rate x batch size"
    shell:
        stage_command("report.figures.heatmap")


rule plot_execution:
    input:
        files_of(run_dirs(), "training.json"),
        answers="results/answers.parquet",
    output:
        **figure(
            "execution",
            "results",
            TITLES["execution"].label,
            instances=[{}] * bool(DATABASES),
        ),
    log:
        "logs/report/plot_execution.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("execution", ROWS_USED, MODEL_USED, SEEDS_USED),
        runs=run_dirs(),
    message:
        "Execution accuracy by task and hardness"
    shell:
        stage_command("report.figures.execution")


rule plot_carried_weights:
    input:
        files_of(CARRIED, "training.json", "provenance.json"),
        published=PUBLISHED,
    output:
        **figure(
            "carried_weights",
            "claims",
            TITLES["carried_weights"].label,
            instances=[{}] * bool(CARRIED),
        ),
    log:
        "logs/report/plot_carried_weights.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("carried_weights", ROWS_USED, MODEL_USED, FIRST_SEED_USED),
        runs=CARRIED,
    message:
        "The chain of carried weights"
    shell:
        stage_command("report.figures.carried_weights")
