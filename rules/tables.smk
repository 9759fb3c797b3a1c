# In:  scores, training summaries and provenance of every run, fit audits, the published numbers.
# Out: results/tables/: results, summary, models, differences, equal_steps, runs, claims; with
#      `snakemake ablation`, or where the configuration has it in the report, what each repair is
#      worth. results/runs/<recipe>/<run>/seed<k>/model/README.md: the card of each run's model.

# What the ablation adds to the runs of the recipes in use.
ABLATION_ONLY = [folder for folder in ablation_dirs() if folder not in run_dirs()]
# What the comparison of models is made from, of a run or an endpoint.
ANSWERED = ["answering.json", *SCORES]
TOGETHER = "agents/outcomes.parquet"
COMPARED_DIRS = run_dirs(COMPARED)
MODEL_CARDS = files_of(
    run_dirs() + ABLATION_ONLY * ABLATION_IN_REPORT, "model/README.md"
)


rule tabulate_results:
    input:
        files_of(run_dirs(), "training.json", *SCORES),
    output:
        results=in_report(
            f"{TABLES}/results.csv",
            "tables.results",
            "results",
            "3 All numbers (CSV)",
            caption="CAPTION_CSV",
        ),
        means=f"{TABLES}/over_seeds.csv",
        summary=f"{TABLES}/summary.csv",
        page=in_report(
            f"{TABLES}/summary.html",
            "tables.results",
            "results",
            "1 Results of all runs",
        ),
    log:
        "logs/report/tabulate_results.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
    message:
        "Tables of results"
    shell:
        stage_command("report.tables.results")


rule tabulate_models:
    input:
        files_of(run_dirs() + COMPARED_DIRS, "training.json", "provenance.json"),
        files_of(run_dirs() + COMPARED_DIRS + ENDPOINT_DIRS, *ANSWERED),
        files_of((COMPARED_DIRS + ENDPOINT_DIRS) * bool(AGENT_SPLITS), TOGETHER),
        files_of(ENDPOINT_DIRS * bool(AGENT_SPLITS), "agents/answering.json"),
        published=PUBLISHED,
        agents="results/agents/outcomes.parquet" if AGENT_SPLITS else [],
    output:
        table=f"{TABLES}/models.csv",
        page=in_report(
            f"{TABLES}/models.html",
            "tables.models",
            "results",
            "2 Comparison of models",
        ),
    log:
        "logs/report/tabulate_models.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs() + COMPARED_DIRS,
        bases=settings_json(
            {
                recipe: Path(model_of(config, recipe)["base"]).name
                for recipe in RECIPES + COMPARED
            }
        ),
        recipe=AGENTS["recipe"],
        endpoints=ENDPOINT_DIRS,
        sizes=settings_json(
            {name: config["models"][name].get("parameters") for name in ENDPOINTS}
        ),
        note=NOTE,
    message:
        "Comparison of models (Annex II)"
    shell:
        stage_command("report.tables.models")


rule tabulate_differences:
    input:
        files_of(run_dirs(), "training.json", "predictions.parquet", *SCORES),
        published=PUBLISHED,
    output:
        table=f"{TABLES}/differences.csv",
        page=in_report(
            f"{TABLES}/differences.html",
            "tables.differences",
            "results",
            "4 Differences between runs",
        ),
    log:
        "logs/report/tabulate_differences.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
    message:
        "Differences between runs"
    shell:
        stage_command("report.tables.differences")


rule tabulate_equal_steps:
    input:
        files_of(run_dirs(experiment=3), "training.json"),
    output:
        table=f"{TABLES}/equal_steps.csv",
        page=in_report(
            f"{TABLES}/equal_steps.html",
            "tables.equal_steps",
            "exp3",
            "Batch sizes at equal steps",
            instances=[{}] if run_dirs(experiment=3) else [],
        ),
    log:
        "logs/report/tabulate_equal_steps.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(experiment=3),
        note=NOTE,
    message:
        "Batch sizes at equal epochs and at equal steps"
    shell:
        stage_command("report.tables.equal_steps")


rule tabulate_runs:
    input:
        files_of(run_dirs(), "training.json", "provenance.json"),
    output:
        table=f"{TABLES}/runs.csv",
        page=in_report(
            f"{TABLES}/runs.html", "tables.runs", "runs", "Runs and their provenance"
        ),
    log:
        "logs/report/tabulate_runs.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
    message:
        "Table of runs"
    shell:
        stage_command("report.tables.runs")


rule make_claims:
    input:
        files_of(
            run_dirs(),
            "training.json",
            "training_log.jsonl",
            "provenance.json",
            "predictions.parquet",
            *SCORES,
        ),
        fit=FIT,
        profile="results/data/profile.json",
        reading="results/data/reading.json",
        rows="results/data/rows.parquet",
        published=PUBLISHED,
        ablation=[f"{TABLES}/ablation.csv"] if ABLATION_IN_REPORT else [],
    output:
        claims=f"{TABLES}/claims.json",
        table=in_report(
            f"{TABLES}/claims.csv",
            "claims.table",
            "claims",
            "2 Claims (CSV)",
            caption="CAPTION_CSV",
        ),
        page=in_report(
            f"{TABLES}/claims.html", "claims.table", "claims", "1 Claims and verdicts"
        ),
    log:
        "logs/report/make_claims.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        recipes=settings_json(config["claims"]),
        own_model=OWN_MODEL,
        note=NOTE,
    message:
        "Claims of the report and what became of them"
    shell:
        stage_command("report.claims.table")


rule tabulate_ablation:
    input:
        files_of(ablation_dirs(), "training.json", "predictions.parquet", *SCORES),
        fit=[f"results/fit/{recipe}.json" for recipe in generating_less(config)],
    output:
        table=f"{TABLES}/ablation.csv",
        svg=in_report(
            f"{FIGURES}/ablation.svg",
            "claims.ablation",
            "claims",
            TITLES["ablation"].label,
            instances=[{}] if ABLATION_IN_REPORT else [],
        ),
        png=f"{FIGURES}/ablation.png",
    log:
        "logs/report/tabulate_ablation.log",
    conda:
        "../envs/essence.yaml"
    params:
        **look("ablation", ROWS_USED, MODEL_USED, seeds_used(ABLATION_SEEDS)),
        runs=ablation_dirs(),
        unrepaired=config["ablation"]["unrepaired"],
        repaired=config["ablation"]["repaired"],
    message:
        "What each repair is worth"
    shell:
        stage_command("report.claims.ablation")


rule write_model_cards:
    input:
        files_of(run_dirs(), "training.json", "provenance.json", *SCORES),
        reading="results/data/reading.json",
    output:
        cards=files_of(run_dirs(), "model/README.md"),
    log:
        "logs/report/write_model_cards.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
        base=config["model"]["base"] if config["model"].get("revision") else None,
    message:
        "A card for the model of each run"
    shell:
        stage_command("report.pages.model_card")


use rule write_model_cards as write_ablation_cards with:
    input:
        files_of(ABLATION_ONLY, "training.json", "provenance.json", *SCORES),
        reading="results/data/reading.json",
    output:
        cards=files_of(ABLATION_ONLY, "model/README.md"),
    log:
        "logs/report/write_ablation_cards.log",
    params:
        runs=ABLATION_ONLY,


rule ablation:
    input:
        rules.tabulate_ablation.output,
        rules.write_ablation_cards.output,
