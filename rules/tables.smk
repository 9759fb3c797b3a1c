# In:  answers, scores, training summaries and provenance of every run, fit audits, the published
#      numbers.
# Out: results/tables/.

ENDPOINT_AGENTS = [f"{each}/agents" for each in ENDPOINT_DIRS if AGENT_SPLITS]
ABLATION_SVG = [f"{FIGURES}/ablation.svg"]
SCORED = ["results"] + ["results/models"] * bool(ENDPOINTS)
TABULATED = ["summary", "results", "differences", "predictions", "runs"]
[ABLATION_FIGURE] = [each for each in FIGURES_KNOWN if each["kind"] == "ablation"]


rule tabulate:
    input:
        files_of(run_dirs(), "training.json", "provenance.json"),
        **OF_RUNS,
        published=PUBLISHED,
    output:
        list(map(table, TABULATED)),
        table("equal_steps") if RUN_SETS["grid"] else f"{TABLES}/equal_steps.csv",
        f"{TABLES}/over_seeds.csv",
    log:
        "logs/report/tabulate.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        folder=lambda wildcards: TABLES,
    message:
        "Tables of results"
    shell:
        stage_command("report.tabulate")


rule tabulate_models:
    input:
        files_of(run_dirs(), "training.json", "provenance.json", "answering.json"),
        files_of(ENDPOINT_DIRS, "answering.json"),
        files_of(ENDPOINT_AGENTS, "answering.json", "outcomes.parquet"),
        scores=files_of(SCORED, "scores.parquet"),
        answers=files_of(SCORED, "answers.parquet"),
        outcomes=["results/agents/outcomes.parquet"] * bool(AGENT_SPLITS),
    output:
        models=table("models"),
        agents=table("agents") if AGENT_SPLITS else [],
    log:
        "logs/report/tabulate_models.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        base=Path(BASE_MODEL).name,
        recipe=AGENTS["recipe"],
        endpoints=settings_json(ENDPOINT_SIZES),
    message:
        "Comparison of models (Annex II), the agents end to end"
    shell:
        stage_command("report.models")


rule judge_claims:
    input:
        files_of(run_dirs(), "training.json", "training_log.jsonl"),
        scores=OF_RUNS["scores"],
        means=f"{TABLES}/over_seeds.csv",
        fit=FIT,
        profile="results/data/profile.json",
        reading="results/data/reading.json",
        rows="results/data/rows.parquet",
        published=PUBLISHED,
        ablation=ABLATION,
    output:
        table=table("claims"),
    log:
        "logs/report/judge_claims.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        recipes=settings_json(config["claims"]),
        own_model=OWN_MODEL,
        scale=scale_of(config),
    message:
        "Claims of the report and what became of them"
    shell:
        stage_command("report.judge")


rule tabulate_ablation:
    input:
        files_of(ablation_dirs(), "training.json"),
        answers="results/ablation/answers.parquet",
        scores="results/ablation/scores.parquet",
    output:
        table=f"{TABLES}/ablation.csv",
        svg=(figure_files([ABLATION_FIGURE]) if ABLATION_IN_REPORT else ABLATION_SVG)[0],
        png=f"{FIGURES}/ablation.png",
    log:
        "logs/report/tabulate_ablation.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=look(ABLATION_FIGURE)["note"],
        style=settings_json(look(ABLATION_FIGURE)["style"]),
        runs=ablation_dirs(),
        unrepaired=config["ablation"]["unrepaired"],
        repaired=config["ablation"]["repaired"],
    message:
        "What each repair is worth"
    shell:
        stage_command("report.ablation")


rule ablation:
    input:
        rules.tabulate_ablation.output,
    localrule: True
