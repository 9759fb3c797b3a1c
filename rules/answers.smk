# In:  results.csv and the predictions of every run.
# Out: experiment 4: the best run's answers (results/examples/), and a page of all answers a recipe.


# A checkpoint: which model answers in experiment 4 is known once the results are.
checkpoint choose_best:
    input:
        results=f"{TABLES}/results.csv",
    output:
        best=f"{TABLES}/best_run.json",
    log:
        "logs/report/choose_best.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipe=BEST["recipe"],
        metric=BEST["metric"],
        split=BEST["split"],
        candidates=best_run_candidates(config),
    message:
        "Choosing the best run by {params.metric} on {params.split}"
    shell:
        stage_command("report.tables.best_run")


rule draw_examples:
    input:
        rows="results/data/rows.parquet",
        held_out_rows=TEST_ROWS if BEST_HAS_TEST else best_rows("val"),
    output:
        held_out="results/examples/held_out.parquet",
        from_all="results/examples/from_all.parquet",
    log:
        "logs/report/draw_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        per_task=BEST["rows_per_task"],
        seed=BEST["seed"],
    message:
        "Experiment 4: {params.per_task} rows of each task"
    shell:
        stage_command("report.pages.draw_examples")


rule answer_examples:
    input:
        lambda w: [f"{RUN.format(**best_run(w))}/model/{name}" for name in MODEL_FILES],
        train=[],
        val="results/examples/from_all.parquet",
        test="results/examples/held_out.parquet",
        unseen=[],
        other=[],
    output:
        out="results/examples/predictions.parquet",
    log:
        "logs/report/answer_examples.log",
    conda:
        "../envs/essence.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=30,
    params:
        settings=lambda w: settings_json(
            run_settings(
                config, *(best_run(w)[key] for key in ("recipe", "run", "seed"))
            )
        ),
        model=lambda w: f"{RUN.format(**best_run(w))}/model",
        splits=["test", "val"],
        batch_size=config["prediction"]["batch_size"],
    message:
        "Experiment 4: answering with the best run"
    shell:
        stage_command("model.predict")


rule show_examples:
    input:
        predictions="results/examples/predictions.parquet",
        train=best_rows("train"),
        val=best_rows("val"),
        test=TEST_ROWS if BEST_HAS_TEST else [],
        best=f"{TABLES}/best_run.json",
    output:
        page=in_report(
            "results/examples/examples.html",
            "pages.examples",
            "exp4",
            "1 Answers of the best run",
        ),
    log:
        "logs/report/show_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=NOTE,
    message:
        "Experiment 4: answers beside gold"
    shell:
        stage_command("report.pages.examples")


rule browse_predictions:
    input:
        lambda w: files_of(
            first_seed(w.recipe, RUNS[w.recipe]),
            "training.json",
            "predictions.parquet",
            *SCORES,
        ),
    output:
        page=in_report(
            f"{TABLES}/predictions_{{recipe}}.html",
            "pages.predictions",
            "exp4",
            "2 All held-out answers",
            instances=[{"recipe": recipe} for recipe in RECIPES],
        ),
    log:
        "logs/report/browse_predictions_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=lambda w: first_seed(w.recipe, RUNS[w.recipe]),
        note=NOTE,
    message:
        "A page to look through the predictions ({wildcards.recipe})"
    shell:
        stage_command("report.pages.predictions")
