# In:  rows.parquet, lengths.parquet, fit audits, what every run left under results/runs/, answers,
#      scores, the table of the agents.
# Out: results/figures/, each as SVG and PNG. Captions: resources/captions/figures/.
from workflow_scripts.report.figures.catalogue import list_figures, training_order

RUNS = {recipe: runs_of(config, recipe) for recipe in RECIPES}
RATE_SCALE = config["training"]["learning_rate_scale"]
GRID = run_dirs(experiment=3)
CARRIED = [
    folder
    for recipe in RECIPES
    if any(run["starts_from"] in RUNS[recipe] for run in RUNS[recipe].values())
    for folder in first_seed(recipe, training_order(RUNS[recipe]))
]
ALL_FIGURES = list_figures(RUNS, RATE_SCALE, config["ablation"]["run"])
# Figures of what this configuration does not measure are left out.
MEASURED = {"heatmap": GRID, "carried_weights": CARRIED, "execution": DATABASES}
MEASURED |= {"agents": AGENT_SPLITS, "ablation": ABLATION_IN_REPORT}
FIGURES_SHOWN = [each for each in ALL_FIGURES if MEASURED.get(each.kind, True)]
TITLES = {each.name: each for each in ALL_FIGURES}
# What a figure is made with, for its small print.
USED = {
    "tasks": [ROWS_USED],
    **dict.fromkeys(("lengths", "fit"), [ROWS_USED, TOKENIZER_USED]),
    **dict.fromkeys(
        ("losses", "task_losses", "carried_weights", "agents"),
        [ROWS_USED, MODEL_USED, FIRST_SEED_USED],
    ),
    **dict.fromkeys(("heatmap", "execution"), [ROWS_USED, MODEL_USED, SEEDS_USED]),
    "ablation": [ROWS_USED, MODEL_USED, seeds_used(ABLATION_SEEDS)],
}
# The lengths are those of the whole prompt: a compact prompt is cut elsewhere.
CUTS = {
    recipe: {
        side: config["recipes"][recipe][side]
        for side in ("source_tokens", "target_tokens")
        if side == "target_tokens" or config["recipes"][recipe]["prompt"] == "full"
    }
    for recipe in RECIPES
}
OF_DATA = ("tasks", "lengths", "fit")
OF_LOSSES = ("losses", "task_losses", "carried_weights")
OF_SCORES = ("heatmap", "execution", "agents")


rule plot_data:
    input:
        rows="results/data/rows.parquet",
        lengths="results/data/lengths.parquet",
        fit=FIT,
    output:
        pictures=figure_files(*OF_DATA),
    log:
        "logs/report/plot_data.log",
    conda:
        "../envs/essence.yaml"
    params:
        figures=settings_json(figure_settings(*OF_DATA)),
        limits=settings_json(CUTS),
    message:
        "Figures of the data, and of what recipes leave of it"
    shell:
        stage_command("report.figures.data")


# Figures 5.1 to 5.7, and those of runs that the report does not have.
rule plot_losses:
    input:
        files_of(files_in_losses("runs"), "training.json", "training_log.jsonl"),
        files_of(CARRIED, "provenance.json"),
        files_in_losses("rows"),
        published=PUBLISHED,
    output:
        pictures=figure_files(*OF_LOSSES),
    log:
        "logs/report/plot_losses.log",
    conda:
        "../envs/essence.yaml"
    params:
        figures=settings_json(figure_settings(*OF_LOSSES)),
    message:
        "Figures of losses"
    shell:
        stage_command("report.figures.losses")


rule plot_scores:
    input:
        files_of(run_dirs(), "training.json"),
        answers="results/answers.parquet",
        scores="results/scores.parquet",
        published=PUBLISHED,
        agents=[f"{TABLES}/agents.csv"] * bool(AGENT_SPLITS),
    output:
        pictures=figure_files(*OF_SCORES),
    log:
        "logs/report/plot_scores.log",
    conda:
        "../envs/essence.yaml"
    params:
        figures=settings_json(figure_settings(*OF_SCORES)),
    message:
        "Figures of scores"
    shell:
        stage_command("report.figures.scores")
