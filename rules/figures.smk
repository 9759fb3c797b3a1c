# In:  rows.parquet, lengths.parquet, fit audits, what every run left under results/runs/, answers,
#      scores, the table of the agents.
# Out: results/figures/, each as SVG and PNG; resources/figures.yaml lists them.
RUNS = {recipe: runs_of(config, recipe) for recipe in RECIPES}
RUN_SETS = {
    "all": run_dirs(),
    "grid": run_dirs(experiment=3),
    "chain": [
        folder
        for recipe in RECIPES
        if any(run["starts_from"] in RUNS[recipe] for run in RUNS[recipe].values())
        for folder in first_seed(recipe, training_order(RUNS[recipe]))
    ],
}
MEASURED = {
    "databases": DATABASES,
    "agents": AGENT_SPLITS,
    "ablation": ABLATION_IN_REPORT,
}
# What a figure can be made with, for its small print.
MODEL_USED = model_used(config)
USED = {
    "rows": rows_used(config),
    "model": MODEL_USED,
    "tokenizer": f"tokenizer of the {MODEL_USED.removeprefix('the ')}",
    "seeds": seeds_used(SEEDS),
    "first seed": seeds_used(SEEDS[:1]),
    "ablation seeds": seeds_used(SEEDS[: config["ablation"]["seeds"]]),
}
FIGURES_KNOWN = list_figures(
    RUNS, config["training"]["learning_rate_scale"], config["ablation"]["run"]
)
# Figures of what this configuration does not measure are left out.
FIGURES_SHOWN = [
    each
    for each in FIGURES_KNOWN
    if MEASURED.get(each.get("needs"), True) and RUN_SETS.get(each.get("runs"), True)
]
PLOTTED = [each for each in FIGURES_SHOWN if each["kind"] != "ablation"]
PLOTS = {each["name"]: drawn_from(each) for each in PLOTTED}


rule plot_figures:
    input:
        files_of(run_dirs(), "training.json", "training_log.jsonl", "provenance.json"),
        list({path: None for plot in PLOTS.values() for path in plot.get("rows", [])}),
        **OF_RUNS,
        rows="results/data/rows.parquet",
        lengths="results/data/lengths.parquet",
        fit=FIT,
        published=PUBLISHED,
        agents=[f"{TABLES}/agents.csv"] * bool(AGENT_SPLITS),
    output:
        pictures=figure_files(PLOTTED),
    log:
        "logs/report/plot_figures.log",
    conda:
        "../envs/essence.yaml"
    params:
        figures=settings_json(PLOTS),
        cuts=settings_json(cuts(config)),
    message:
        "Figures"
    shell:
        stage_command("report.figures.plot")
