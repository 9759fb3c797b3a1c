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
# The lengths are those of the whole prompt: a compact prompt is cut elsewhere.
CUTS = {
    recipe: {
        side: config["recipes"][recipe][side]
        for side in ("source_tokens", "target_tokens")
        if side == "target_tokens" or config["recipes"][recipe]["prompt"] == "full"
    }
    for recipe in RECIPES
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
    of_losses = [
        (recipe, run)
        for recipe, runs in figure.get("losses_of", {}).items()
        for run in runs
    ]
    shown = {"runs": RUN_SETS.get(figure.get("runs"), [])}
    if of_losses:
        shown = {
            "runs": [
                folder
                for recipe, run in of_losses
                for folder in first_seed(recipe, [run])
            ],
            "rows": [sample_files(*each, SEEDS[0])["train"] for each in of_losses],
            # Published points are comparable on the report's own rows and model alone.
            "published": REPORTS_ROWS and not OWN_MODEL,
        }
    return {"kind": figure["kind"], **shown, **look(figure)}


def figure_files(figures):
    """The outputs of what draws some figures, as SVG and then as PNG."""
    names = [each["name"] for each in figures]
    svg = [
        in_report(
            f"{FIGURES}/{each['name']}.svg",
            each["caption"],
            each["chapter"],
            each["label"],
        )
        for each in figures
    ]
    png = [f"{FIGURES}/{name}.png" for name in names]
    REPORT_PARTS.extend(png)
    return svg + png


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
        cuts=settings_json(CUTS),
    message:
        "Figures"
    shell:
        stage_command("report.figures.plot")
