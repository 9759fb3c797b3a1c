# In:  a run's model and the rows it is asked (validation, training, test), the rows' databases.
# Out: results/runs/<recipe>/<run>/seed<k>/: predictions.parquet, answering.json; of all runs
#      results/answers.parquet, a row per answer, and results/scores.parquet, a row per number;
#      the same of the ablation and of other models in results/ablation/ and results/models/.


# Without databases no SQL is executed.
SCORED_WITH = {
    "rows": "results/data/rows.parquet",
    "database_files": DATABASE_FILES,
    "other_rows": [TEST_FILES["other"]] * bool(OTHER),
    "other_files": OTHER_DATABASE_FILES,
}


rule predict:
    input:
        unpack(prediction_inputs),
    output:
        out=f"{RUN}/predictions.parquet",
        summary=f"{RUN}/answering.json",
    log:
        "logs/runs/{recipe}/{run}/seed{seed}/predict.log",
    conda:
        "../envs/essence.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory_to_answer(settings_of),
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda w: settings_json(settings_of(w)),
        model=f"{RUN}/model",
        # The ablation compares held-out rows; answers to training rows would be for nothing.
        splits=lambda w: [
            split
            for split in config["prediction"]["splits"]
            if split != "train" or w.recipe in RECIPES
        ],
        batch_size=config["prediction"]["batch_size"],
        constrained=config["prediction"]["constrained"],
    message:
        "Answering with {wildcards.run} ({wildcards.recipe}, seed {wildcards.seed})"
    shell:
        stage_command("model.predict", warm=True)


# All runs at once.
rule score_runs:
    input:
        files_of(run_dirs(), "predictions.parquet", "training.json"),
        **SCORED_WITH,
        train=training_rows(run_dirs()),
    output:
        answers="results/answers.parquet",
        scores="results/scores.parquet",
    log:
        "logs/score_runs.log",
    conda:
        "../envs/essence.yaml"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        runs=run_dirs(),
        databases=lambda wildcards: DATABASES,
        other_databases=OTHER["databases"] if OTHER else None,
        seconds=config["execution"]["seconds"],
        repeat=config["execution"]["timed_runs"],
    message:
        "Scoring the answers of all runs"
    shell:
        stage_command("metrics.score_runs")


use rule score_runs as score_ablation with:
    input:
        files_of(ablation_dirs(), "predictions.parquet", "training.json"),
        **SCORED_WITH,
        train=training_rows(ablation_dirs()),
    output:
        answers="results/ablation/answers.parquet",
        scores="results/ablation/scores.parquet",
    log:
        "logs/score_ablation.log",
    params:
        runs=ablation_dirs(),
    message:
        "Scoring the answers of the ablation"


use rule score_runs as score_models with:
    input:
        files_of(ENDPOINT_DIRS, "predictions.parquet"),
        **SCORED_WITH,
        train=[],
    output:
        answers="results/models/answers.parquet",
        scores="results/models/scores.parquet",
    log:
        "logs/score_models.log",
    params:
        runs=ENDPOINT_DIRS,
    message:
        "Scoring the answers of other models"
