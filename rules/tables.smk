# In:  scores, training summaries and provenance of every run, fit audits, the published numbers.
# Out: results/tables/: results, summary, models, differences, runs, claims; with `snakemake
#      ablation` also what each repair is worth, which then belongs to the claims and the report.

# Once made, the ablation belongs to the claims and to the report; delete the table to drop it.
ABLATION = [path for path in [f"{TABLES}/ablation.csv"] if os.path.exists(path)]


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
        look=look(),
    message:
        "Tables of results"
    shell:
        stage_command("report.tables.results")


rule tabulate_models:
    input:
        files_of(run_dirs(), "training.json", "provenance.json", *SCORES),
        published=PUBLISHED,
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
        runs=run_dirs(),
        model=Path(config["model"]["base"]).name,
        look=look(),
    message:
        "Comparison of models (Annex II)"
    shell:
        stage_command("report.tables.models")


rule tabulate_differences:
    input:
        files_of(run_dirs(), "training.json", "predictions.parquet", *SCORES),
    output:
        f"{TABLES}/differences.csv",
        in_report(
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
        code=code_digest("workflow_scripts.report.tables.differences"),
    message:
        "Differences between runs"
    shell:
        "python -m workflow_scripts.report.tables.differences --runs {params.runs} "
        f"--folder {TABLES} "
        "--note={params.note:q} > {log} 2>&1"


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
        look=look(),
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
            *SCORES,
        ),
        ABLATION,
        fit=FIT,
        profile="results/data/profile.json",
        reading="results/data/reading.json",
        rows="results/data/rows.parquet",
        published=PUBLISHED,
    output:
        in_report(
            f"{TABLES}/claims.csv",
            "claims.table",
            "claims",
            "4 Claims (CSV)",
            caption="CAPTION_CSV",
        ),
        in_report(
            f"{TABLES}/claims.html", "claims.table", "claims", "1 Claims and verdicts"
        ),
    log:
        "logs/report/make_claims.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        ablation=f"--ablation {ABLATION[0]}" if ABLATION else "",
        model="--own-model" if OWN_MODEL else "",
        note=NOTE,
        code=code_digest("workflow_scripts.report.claims.table"),
    message:
        "Claims of the report and what became of them"
    shell:
        "python -m workflow_scripts.report.claims.table --runs {params.runs} --fit {input.fit} "
        "{params.ablation} --profile {input.profile} --reading {input.reading} "
        "--rows {input.rows} {params.model} --published {input.published} "
        f"--note={{params.note:q}} --folder {TABLES} > {{log}} 2>&1"


rule tabulate_ablation:
    input:
        files_of(ablation_dirs(), "training.json", "predictions.parquet", *SCORES),
    output:
        table=f"{TABLES}/ablation.csv",
        figure=in_report(
            f"{FIGURES}/ablation.svg",
            "claims.ablation",
            "claims",
            "3 What each repair is worth",
        ),
        png=f"{FIGURES}/ablation.png",
    log:
        "logs/report/tabulate_ablation.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=ablation_dirs(),
        worse=config["ablation"]["worse"],
        better=config["ablation"]["better"],
        look=look("ablation"),
        code=code_digest("workflow_scripts.report.claims.ablation"),
    message:
        "What each repair is worth"
    shell:
        "python -m workflow_scripts.report.claims.ablation --runs {params.runs} "
        "--worse {params.worse} --better {params.better} --table {output.table} "
        f"--figure {FIGURES}/ablation "
        "--look {params.look:q} > {log} 2>&1"


rule ablation:
    input:
        rules.tabulate_ablation.output,
