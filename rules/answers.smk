# In:  training.json and the predictions of every run, results/data/test.parquet.
# Out: the best run of each recipe; experiment 4, what the best runs answer (results/examples/); all
#      held-out answers, as a page to search and as CSV.


# A checkpoint: which models answer in experiment 4 is known once all are trained.
checkpoint choose_best:
    input:
        files_of(run_dirs(), "training.json"),
    output:
        best=f"{TABLES}/best_runs.json",
    log:
        "logs/report/choose_best.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
    message:
        "Choosing the best run of each recipe"
    shell:
        stage_command("report.tables.best_run")


rule draw_examples:
    input:
        rows="results/data/rows.parquet",
        test=TEST_ROWS,
    output:
        held_out="results/examples/held_out.parquet",
        from_all="results/examples/from_all.parquet",
    log:
        "logs/report/draw_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        per_task=config["examples"]["rows_per_task"],
        seed=config["examples"]["seed"],
    message:
        "Experiment 4: {params.per_task} rows of each task"
    shell:
        stage_command("report.pages.draw_examples")


rule answer_examples:
    input:
        lambda w: [
            f"{RUN.format(**best_run(w.recipe))}/model/{name}" for name in MODEL_FILES
        ],
        train=[],
        val="results/examples/from_all.parquet",
        test=["results/examples/held_out.parquet"] * len(TEST_ROWS),
        unseen=[],
        other=[],
    output:
        out="results/examples/{recipe}.parquet",
        summary=[],
    log:
        "logs/report/answer_examples_{recipe}.log",
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
                config, *(best_run(w.recipe)[key] for key in ("recipe", "run", "seed"))
            )
        ),
        model=lambda w: f"{RUN.format(**best_run(w.recipe))}/model",
        splits=["test", "val"],
        batch_size=config["prediction"]["batch_size"],
        constrained=config["prediction"]["constrained"],
    message:
        "Experiment 4: answering with the best run of {wildcards.recipe}"
    shell:
        stage_command("model.predict", warm=True)


rule show_examples:
    input:
        predictions=expand("results/examples/{recipe}.parquet", recipe=EXAMPLE_RECIPES),
        train=best_rows("train"),
        val=best_rows("val"),
        test=TEST_ROWS,
        best=f"{TABLES}/best_runs.json",
    output:
        page=in_report(
            "results/examples/examples.html",
            "pages.examples",
            "exp4",
            "1 Answers of the best runs",
        ),
    log:
        "logs/report/show_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipes=EXAMPLE_RECIPES,
        note=NOTE,
    message:
        "Experiment 4: answers beside gold"
    shell:
        stage_command("report.pages.examples")


rule browse_predictions:
    input:
        files_of(run_dirs(), "training.json", "predictions.parquet", *SCORES),
        best=f"{TABLES}/best_runs.json",
    output:
        table=f"{TABLES}/predictions.csv",
        page=in_report(
            f"{TABLES}/predictions.html",
            "pages.predictions",
            "exp4",
            "2 All answers on held-out rows",
        ),
    log:
        "logs/report/browse_predictions.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
    message:
        "A page to look through the predictions"
    shell:
        stage_command("report.pages.predictions")
