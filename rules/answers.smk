# In:  training.json of every run, the best runs' models, results/data/test.parquet.
# Out: results/tables/best_runs.json; experiment 4, what the best runs answer (results/examples/).


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
        stage_command("report.choose_best")


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
        stage_command("report.draw_examples")


use rule predict as answer_examples with:
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
    resources:
        gpu=GPUS,
        mem_mb=memory_to_answer(lambda w: settings_of_best(w.recipe)),
        runtime=30,
    params:
        settings=lambda w: settings_json(settings_of_best(w.recipe)),
        model=lambda w: f"{RUN.format(**best_run(w.recipe))}/model",
        splits=["test", "val"],
    message:
        "Experiment 4: answering with the best run of {wildcards.recipe}"
