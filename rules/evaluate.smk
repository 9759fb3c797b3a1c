# In:  a run's model and the rows it is asked (validation, training, test).
# Out: results/runs/<recipe>/<run>/seed<k>/: predictions.parquet, scores.json.


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
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda w: settings_json(
            run_settings(config, w.recipe, w.run, int(w.seed))
        ),
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


rule score:
    input:
        predictions=f"{RUN}/predictions.parquet",
        training=f"{RUN}/training.json",
        train=lambda w: sample_files(w.recipe, w.run, w.seed)["train"],
    output:
        scores=f"{RUN}/scores.json",
    log:
        "logs/runs/{recipe}/{run}/seed{seed}/score.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipe="{recipe}",
        run="{run}",
        seed="{seed}",
    message:
        "Scoring {wildcards.run} ({wildcards.recipe}, seed {wildcards.seed})"
    shell:
        stage_command("metrics.score_text")


rule link_rows:
    input:
        rows="results/data/rows.parquet",
        databases=DATABASE_FILES,
    output:
        links="results/data/links.parquet",
        report="results/data/links.json",
    log:
        "logs/data/link_rows.log",
    conda:
        "../envs/essence.yaml"
    params:
        databases=lambda wildcards: DATABASES,
    message:
        "Finding each row's database"
    shell:
        stage_command("data.link")


if OTHER:

    use rule link_rows as link_other with:
        input:
            rows=TEST_FILES["other"],
            databases=OTHER_DATABASE_FILES,
        output:
            links="results/data/other.links.parquet",
            report="results/data/other.links.json",
        log:
            "logs/data/link_other.log",
        params:
            databases=OTHER["databases"],


rule execute:
    input:
        predictions=f"{RUN}/predictions.parquet",
        rows="results/data/rows.parquet",
        links="results/data/links.parquet",
        database_files=DATABASE_FILES,
        other_rows=TEST_FILES["other"] if OTHER else [],
        other_links="results/data/other.links.parquet" if OTHER else [],
        other_files=OTHER_DATABASE_FILES,
    output:
        scores=f"{RUN}/sql_scores.json",
        verdicts=f"{RUN}/verdicts.parquet",
    log:
        "logs/runs/{recipe}/{run}/seed{seed}/execute.log",
    benchmark:
        "results/benchmarks/runs/{recipe}/{run}/seed{seed}/execute.jsonl"
    conda:
        "../envs/essence.yaml"
    params:
        databases=lambda wildcards: DATABASES,
        other_databases=OTHER["databases"] if OTHER else None,
        cache="work/executed",
        recipe="{recipe}",
        run="{run}",
        seed="{seed}",
        seconds=config["execution"]["seconds"],
        repeat=config["execution"]["timed_runs"],
    message:
        "Executing the answers of {wildcards.run} ({wildcards.recipe}, seed {wildcards.seed})"
    shell:
        stage_command("metrics.score_sql")
