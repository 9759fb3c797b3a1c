# In:  the best run of a recipe: its model, training, scores and answers.
# Out: results/export/<recipe>/, a model to hand on; `snakemake export` makes that of the agents' recipe.


rule export_model:
    input:
        files_of_best("training.json", "provenance.json"),
        files_of_best(*(f"model/{name}" for name in MODEL_FILES)),
        reading="results/data/reading.json",
        rows="results/data/rows.parquet",
        predictions=files_of_best("predictions.parquet"),
        scores=OF_RUNS["scores"],
    output:
        card="results/export/{recipe}/README.md",  # last of all; the model's files go beside it
    log:
        "logs/export/{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        run=lambda w: RUN.format(**best_run(w.recipe)),
        note=NOTE,
        base=HUB_NAME,
        dataset=source_of(config) if config["data"]["source"] == "hub" else None,
        license="mit" if BASE_MODEL == STANDIN else None,
        constrained=config["prediction"]["constrained"],
    message:
        "The best run of {wildcards.recipe} as a model to hand on"
    shell:
        stage_command("report.export")


rule export:
    input:
        f"results/export/{AGENTS['recipe']}/README.md",
    localrule: True
