# In:  a run's model and the rows it is asked (validation, training, test), the rows' databases.
# Out: results/runs/<recipe>/<run>/seed<k>/: predictions.parquet, answering.json; of all runs
#      results/answers.parquet, a row per answer, and results/scores.parquet, a row per number;
#      the same of the ablation and of other models in results/ablation/ and results/models/.


# Whose answers are scored together, by the folder of the tables.
SCORED_TOGETHER = {
    "results": run_dirs(),
    "results/ablation": ablation_dirs(),
    "results/models": ENDPOINT_DIRS,
}
FINE_TUNED = SCORED_TOGETHER | {"results/models": []}


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


rule score_runs:
    input:
        lambda w: files_of(SCORED_TOGETHER[w.folder], "predictions.parquet"),
        lambda w: files_of(FINE_TUNED[w.folder], "training.json"),
        rows="results/data/rows.parquet",
        train=lambda w: training_rows(FINE_TUNED[w.folder]),
        # Without databases no SQL is executed.
        database_files=DATABASE_FILES,
        other_rows=[TEST_FILES["other"]] * bool(OTHER),
        other_files=OTHER_DATABASE_FILES,
    output:
        answers="{folder}/answers.parquet",
        scores="{folder}/scores.parquet",
    log:
        "logs/score_{folder}.log",
    wildcard_constraints:
        folder="|".join(SCORED_TOGETHER),
    conda:
        "../envs/essence.yaml"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        runs=lambda w: SCORED_TOGETHER[w.folder],
        databases=lambda wildcards: DATABASES,
        other_databases=OTHER["databases"] if OTHER else None,
        seconds=config["execution"]["seconds"],
        repeat=config["execution"]["timed_runs"],
    message:
        "Scoring all answers for {wildcards.folder}"
    shell:
        stage_command("metrics.score_runs")
