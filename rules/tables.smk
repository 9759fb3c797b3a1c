# In:  scores, training summaries and provenance of every run, fit audits, the published numbers.
# Out: results/tables/: results, summary, models, differences, runs, claims; with `snakemake
#      ablation`, or where the configuration has it in the report, what each repair is worth.


page(
    "tabulate_results",
    "tables.results",
    "Tables of results",
    f"{TABLES}/summary.html",
    "results",
    "1 Results of all runs",
    outputs={
        "results": in_report(
            f"{TABLES}/results.csv",
            "tables.results",
            "results",
            "3 All numbers (CSV)",
            caption="CAPTION_CSV",
        ),
        "means": f"{TABLES}/over_seeds.csv",
        "summary": f"{TABLES}/summary.csv",
    },
    runs=run_dirs(),
    reads=("training.json", *SCORES),
)
page(
    "tabulate_models",
    "tables.models",
    "Comparison of models (Annex II)",
    f"{TABLES}/models.html",
    "results",
    "2 Comparison of models",
    inputs={"published": PUBLISHED},
    outputs={"table": f"{TABLES}/models.csv"},
    runs=run_dirs(),
    reads=("training.json", "provenance.json", *SCORES),
    params={"model": Path(config["model"]["base"]).name},
)
page(
    "tabulate_differences",
    "tables.differences",
    "Differences between runs",
    f"{TABLES}/differences.html",
    "results",
    "4 Differences between runs",
    inputs={"published": PUBLISHED},
    outputs={"table": f"{TABLES}/differences.csv"},
    runs=run_dirs(),
    reads=("training.json", "predictions.parquet", *SCORES),
)
page(
    "tabulate_runs",
    "tables.runs",
    "Table of runs",
    f"{TABLES}/runs.html",
    "runs",
    "Runs and their provenance",
    outputs={"table": f"{TABLES}/runs.csv"},
    runs=run_dirs(),
    reads=("training.json", "provenance.json"),
)
page(
    "make_claims",
    "claims.table",
    "Claims of the report and what became of them",
    f"{TABLES}/claims.html",
    "claims",
    "1 Claims and verdicts",
    inputs={
        "fit": FIT,
        "profile": "results/data/profile.json",
        "reading": "results/data/reading.json",
        "rows": "results/data/rows.parquet",
        "published": PUBLISHED,
        "ablation": [f"{TABLES}/ablation.csv"] if ABLATION_IN_REPORT else [],
    },
    outputs={
        "claims": f"{TABLES}/claims.json",
        "table": in_report(
            f"{TABLES}/claims.csv",
            "claims.table",
            "claims",
            "4 Claims (CSV)",
            caption="CAPTION_CSV",
        ),
    },
    runs=run_dirs(),
    reads=("training.json", "training_log.jsonl", "provenance.json", *SCORES),
    params={"recipes": settings_json(config["claims"]), "own_model": OWN_MODEL},
)
figure(
    "tabulate_ablation",
    "claims.ablation",
    "What each repair is worth",
    "claims",
    "3 What each repair is worth",
    instances=[{}] if ABLATION_IN_REPORT else [],
    outputs={"table": f"{TABLES}/ablation.csv"},
    runs=[
        RUN.format(recipe=recipe, run=config["ablation"]["run"], seed=seed)
        for recipe in ablation_names(config)
        for seed in SEEDS
    ],
    reads=("training.json", "predictions.parquet", *SCORES),
    params={name: config["ablation"][name] for name in ("unrepaired", "repaired")},
)


rule ablation:
    input:
        f"{TABLES}/ablation.csv",
        multiext(f"{FIGURES}/ablation", ".svg", ".png"),
