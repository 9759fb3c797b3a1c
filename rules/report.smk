# In:  rows.parquet, profile.json, fit audits, and what every run left under results/runs/.
# Out: results/figures/ (SVG and PNG), results/tables/, results/examples/, results/report.html.
# `snakemake ablation` adds what each repair is worth; the next run puts it into the report.
import yaml

from workflow_scripts.report.plan import loss_figures, task_figures, training_order


report: "../results/report/workflow.rst"


include: "report_common.smk"


FIT = [f"results/fit/{recipe}.json" for recipe in RECIPES]
CARRIED = [
    recipe
    for recipe in RECIPES
    if any(run["starts_from"] != "base" for run in runs_of(config, recipe).values())
]
GRIDS = [recipe for recipe in RECIPES if run_dirs([recipe], experiment=3)]
# Once made, the ablation belongs to the claims and to the report; delete the table to drop it.
ABLATION = [path for path in [f"{TABLES}/ablation.csv"] if os.path.exists(path)]


rule plot_tasks:
    input:
        "results/data/rows.parquet",
    output:
        in_report(
            f"{FIGURES}/figure_3.1_tasks.svg", "tasks", "data", "3.1 Rows by task"
        ),
        f"{FIGURES}/figure_3.1_tasks.png",
    log:
        "logs/report/plot_tasks.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=NOTE.split(",")[0] if TWIN else "",
        style=style_of("tasks"),
        code=code_digest("workflow_scripts.report.task_histogram"),
    message:
        "Figure 3.1"
    shell:
        "python -m workflow_scripts.report.task_histogram --rows {input} "
        f"--out {FIGURES}/figure_3.1_tasks "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule plot_lengths:
    input:
        "results/data/lengths.parquet",
    output:
        in_report(
            f"{FIGURES}/lengths.svg",
            "lengths",
            "data",
            "3.1 Length of source and target",
        ),
        f"{FIGURES}/lengths.png",
    log:
        "logs/report/plot_lengths.log",
    conda:
        "../envs/essence.yaml"
    params:
        # The lengths are those of the whole prompt: a compact prompt is cut elsewhere.
        limits=[
            f"{side}={config['recipes'][recipe][side]}={recipe}"
            for side in ("source_tokens", "target_tokens")
            for recipe in RECIPES
            if side == "target_tokens" or config["recipes"][recipe]["prompt"] == "full"
        ],
        note=NOTE,
        style=style_of("lengths"),
        code=code_digest("workflow_scripts.report.length_boxes"),
    message:
        "Box plots of lengths"
    shell:
        "python -m workflow_scripts.report.length_boxes --lengths {input} "
        f"--out {FIGURES}/lengths "
        "--limits {params.limits} --note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule plot_fit:
    input:
        FIT,
    output:
        in_report(
            f"{FIGURES}/fit.svg", "fit", "fit", "What each recipe leaves of the rows"
        ),
        f"{FIGURES}/fit.png",
    log:
        "logs/report/plot_fit.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=NOTE,
        style=style_of("fit"),
        code=code_digest("workflow_scripts.report.fit_figure"),
    message:
        "The fit audit as a figure"
    shell:
        "python -m workflow_scripts.report.fit_figure --fit {input} "
        f"--out {FIGURES}/fit "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


# One rule for each recipe: recipes differ in their runs, and so in their figures.
for recipe in RECIPES:
    plan = {
        f"{figure}_{recipe}": {
            "title": f"{each['title']} ({recipe})",
            "label": each["label"],
            "runs": first_seed(recipe, each["runs"]),
        }
        for figure, each in loss_figures(runs_of(config, recipe)).items()
    }

    rule:
        name:
            f"plot_losses_{re.sub('[^A-Za-z0-9]', '_', recipe)}"
        input:
            [
                files_of(each["runs"], "training.json", "training_log.jsonl")
                for each in plan.values()
            ],
        output:
            [
                in_report(
                    f"{FIGURES}/{name}.svg",
                    "losses",
                    category_of(name),
                    each["label"],
                    recipe,
                )
                for name, each in plan.items()
            ],
            [f"{FIGURES}/{name}.png" for name in plan],
        log:
            f"logs/report/plot_losses_{recipe}.log",
        conda:
            "../envs/essence.yaml"
        params:
            figures=settings_json(plan),
            # Published points are comparable on the report's own rows and model alone.
            published=f"--published {PUBLISHED}" if not (TWIN or OWN_MODEL) else "",
            note=NOTE,
            style=style_of("losses"),
            code=code_digest("workflow_scripts.report.loss_curves"),
        message:
            "Figures 5.1, 5.3, 5.5 to 5.7"
        shell:
            "python -m workflow_scripts.report.loss_curves --figures {params.figures:q} "
            f"--folder {FIGURES} "
            "{params.published} --note={params.note:q} --style {params.style:q} > {log} 2>&1"

    by_task = {
        f"{figure}_{recipe}": {
            "title": f"{each['title']} ({recipe})",
            "label": each["label"],
            "run": first_seed(recipe, [each["run"]])[0],
            "rows": sample_files(recipe, each["run"], SEEDS[0])["train"],
        }
        for figure, each in task_figures(runs_of(config, recipe)).items()
    }
    if by_task:

        rule:
            name:
                f"plot_task_losses_{re.sub('[^A-Za-z0-9]', '_', recipe)}"
            input:
                files_of(
                    [each["run"] for each in by_task.values()],
                    "training.json",
                    "training_log.jsonl",
                ),
                [each["rows"] for each in by_task.values()],
            output:
                [
                    in_report(
                        f"{FIGURES}/{name}.svg",
                        "task_losses",
                        "exp1",
                        each["label"],
                        recipe,
                    )
                    for name, each in by_task.items()
                ],
                [f"{FIGURES}/{name}.png" for name in by_task],
            log:
                f"logs/report/plot_task_losses_{recipe}.log",
            conda:
                "../envs/essence.yaml"
            params:
                figures=settings_json(by_task),
                note=NOTE,
                style=style_of("task_losses"),
                code=code_digest("workflow_scripts.report.task_losses"),
            message:
                "Figures 5.2 and 5.4"
            shell:
                "python -m workflow_scripts.report.task_losses --figures {params.figures:q} "
                f"--folder {FIGURES} "
                "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule plot_heatmap:
    input:
        lambda w: files_of(
            run_dirs([w.recipe], experiment=3), "training.json", "scores.json"
        ),
        published=PUBLISHED,
    output:
        in_report(
            f"{FIGURES}/heatmap_{{recipe}}.svg",
            "heatmap",
            "exp3",
            "Learning rate x batch size",
            "{recipe}",
        ),
        f"{FIGURES}/heatmap_{{recipe}}.png",
    log:
        "logs/report/plot_heatmap_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=lambda w: run_dirs([w.recipe], experiment=3),
        note=NOTE,
        style=style_of("heatmap"),
        code=code_digest("workflow_scripts.report.heatmap"),
    message:
        "Learning rate x batch size ({wildcards.recipe})"
    shell:
        "python -m workflow_scripts.report.heatmap --runs {params.runs} "
        "--title 'Experiment 3: learning rate x batch size ({wildcards.recipe})' "
        f"--published {{input.published}} --out {FIGURES}/heatmap_{{wildcards.recipe}} "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule plot_execution:
    input:
        files_of(run_dirs(), "training.json", "verdicts.parquet"),
    output:
        in_report(
            f"{FIGURES}/execution.svg",
            "execution",
            "results",
            "4 Execution accuracy by task and hardness",
        ),
        f"{FIGURES}/execution.png",
    log:
        "logs/report/plot_execution.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
        style=style_of("execution"),
        code=code_digest("workflow_scripts.report.execution_figure"),
    message:
        "Execution accuracy by task and hardness"
    shell:
        "python -m workflow_scripts.report.execution_figure --runs {params.runs} "
        f"--out {FIGURES}/execution "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule plot_carried_weights:
    input:
        lambda w: files_of(
            first_seed(w.recipe, runs_of(config, w.recipe)), "training.json"
        ),
        published=PUBLISHED,
    output:
        in_report(
            f"{FIGURES}/carried_weights_{{recipe}}.svg",
            "carried_weights",
            "claims",
            "2 The chain of carried weights",
            "{recipe}",
        ),
        f"{FIGURES}/carried_weights_{{recipe}}.png",
    log:
        "logs/report/plot_carried_weights_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        chain=lambda w: [
            f"{RUN.format(recipe=w.recipe, run=name, seed=SEEDS[0])}={run['starts_from']}"
            for name in training_order(runs_of(config, w.recipe))
            for run in [runs_of(config, w.recipe)[name]]
        ],
        note=NOTE,
        style=style_of("carried_weights"),
        code=code_digest("workflow_scripts.report.carried_weights"),
    message:
        "The chain of carried weights ({wildcards.recipe})"
    shell:
        "python -m workflow_scripts.report.carried_weights --chain {params.chain} "
        "--title 'The chain of carried weights ({wildcards.recipe})' "
        f"--published {{input.published}} --out {FIGURES}/carried_weights_{{wildcards.recipe}} "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule tabulate_results:
    input:
        files_of(run_dirs(), "training.json", *SCORES),
    output:
        results=in_report(
            f"{TABLES}/results.csv", "results_csv", "results", "3 All numbers (CSV)"
        ),
        means=f"{TABLES}/over_seeds.csv",
        summary=f"{TABLES}/summary.csv",
        page=in_report(
            f"{TABLES}/summary.html", "summary", "results", "1 Results of all runs"
        ),
    log:
        "logs/report/tabulate_results.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
        code=code_digest("workflow_scripts.report.results"),
    message:
        "Tables of results"
    shell:
        "python -m workflow_scripts.report.results --runs {params.runs} "
        f"--folder {TABLES} "
        "--note={params.note:q} > {log} 2>&1"


rule tabulate_models:
    input:
        files_of(run_dirs(), "training.json", "provenance.json", *SCORES),
        published=PUBLISHED,
    output:
        table=f"{TABLES}/models.csv",
        page=in_report(
            f"{TABLES}/models.html", "models", "results", "2 Comparison of models"
        ),
    log:
        "logs/report/tabulate_models.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        model=Path(config["model"]["base"]).name,
        note=NOTE,
        code=code_digest("workflow_scripts.report.models"),
    message:
        "Comparison of models (Annex II)"
    shell:
        "python -m workflow_scripts.report.models --runs {params.runs} "
        "--published {input.published} --model {params.model:q} --note={params.note:q} "
        "--table {output.table} --page {output.page} > {log} 2>&1"


rule tabulate_runs:
    input:
        files_of(run_dirs(), "training.json", "provenance.json"),
    output:
        f"{TABLES}/runs.csv",
        in_report(f"{TABLES}/runs.html", "runs", "runs", "Runs and their provenance"),
    log:
        "logs/report/tabulate_runs.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        note=NOTE,
        code=code_digest("workflow_scripts.report.runs_table"),
    message:
        "Table of runs"
    shell:
        "python -m workflow_scripts.report.runs_table --runs {params.runs} "
        f"--folder {TABLES} "
        "--note={params.note:q} > {log} 2>&1"


# A checkpoint: which model answers in experiment 4 is known once the results are.
checkpoint choose_best:
    input:
        f"{TABLES}/results.csv",
    output:
        f"{TABLES}/best_run.json",
    log:
        "logs/report/choose_best.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipe=BEST["recipe"],
        metric=BEST["metric"],
        split=BEST["split"],
        code=code_digest("workflow_scripts.report.choose_best"),
    message:
        "Choosing the best run by {params.metric} on {params.split}"
    shell:
        "python -m workflow_scripts.report.choose_best --results {input} "
        "--recipe {params.recipe} --metric {params.metric} --split {params.split} "
        "--out {output} > {log} 2>&1"


rule draw_examples:
    input:
        rows="results/data/rows.parquet",
        train=best_rows("train"),
        val=best_rows("val"),
        test=["results/data/test.parquet"] if BEST_HAS_TEST else [],
        best=f"{TABLES}/best_run.json",
    output:
        held_out="results/examples/held_out.parquet",
        from_all="results/examples/from_all.parquet",
        origins="results/examples/origins.json",
    log:
        "logs/report/draw_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        test="--test results/data/test.parquet" if BEST_HAS_TEST else "",
        per_task=BEST["rows_per_task"],
        seed=BEST["seed"],
        code=code_digest("workflow_scripts.report.examples"),
    message:
        "Experiment 4: {params.per_task} rows of each task"
    shell:
        "python -m workflow_scripts.report.examples draw --rows {input.rows} "
        "--train {input.train} --val {input.val} {params.test} --per-task {params.per_task} "
        "--seed {params.seed} --held-out {output.held_out} --from-all {output.from_all} "
        "--origins {output.origins} > {log} 2>&1"


rule answer_examples:
    input:
        lambda w: [f"{RUN.format(**best_run(w))}/model/{name}" for name in MODEL_FILES],
        held_out="results/examples/held_out.parquet",
        from_all="results/examples/from_all.parquet",
    output:
        "results/examples/predictions.parquet",
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
        code=code_digest("workflow_scripts.model.predict"),
    message:
        "Experiment 4: answering with the best run"
    shell:
        "python -m workflow_scripts.model.predict --settings {params.settings:q} "
        "--model {params.model} --test {input.held_out} --val {input.from_all} "
        "--splits test,val --threads {threads} --out {output} > {log} 2>&1"


rule show_examples:
    input:
        predictions="results/examples/predictions.parquet",
        origins="results/examples/origins.json",
        best=f"{TABLES}/best_run.json",
    output:
        in_report(
            "results/examples/examples.html",
            "examples",
            "exp4",
            "1 Answers of the best run",
        ),
    log:
        "logs/report/show_examples.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=NOTE,
        code=code_digest("workflow_scripts.report.examples"),
    message:
        "Experiment 4: answers beside gold"
    shell:
        "python -m workflow_scripts.report.examples page --predictions {input.predictions} "
        "--origins {input.origins} --best {input.best} --note={params.note:q} "
        "--out {output} > {log} 2>&1"


rule browse_predictions:
    input:
        lambda w: files_of(
            first_seed(w.recipe, runs_of(config, w.recipe)),
            "training.json",
            "predictions.parquet",
            *SCORES,
        ),
    output:
        in_report(
            f"{TABLES}/predictions_{{recipe}}.html",
            "predictions",
            "exp4",
            "2 All held-out answers",
            "{recipe}",
        ),
    log:
        "logs/report/browse_predictions_{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=lambda w: first_seed(w.recipe, runs_of(config, w.recipe)),
        note=NOTE,
        code=code_digest("workflow_scripts.report.predictions"),
    message:
        "A page to look through the predictions ({wildcards.recipe})"
    shell:
        "python -m workflow_scripts.report.predictions --runs {params.runs} "
        "--note={params.note:q} --out {output} > {log} 2>&1"


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
        in_report(f"{TABLES}/claims.csv", "claims_csv", "claims", "4 Claims (CSV)"),
        in_report(f"{TABLES}/claims.html", "claims", "claims", "1 Claims and verdicts"),
    log:
        "logs/report/make_claims.log",
    conda:
        "../envs/essence.yaml"
    params:
        runs=run_dirs(),
        ablation=f"--ablation {ABLATION[0]}" if ABLATION else "",
        model="--own-model" if OWN_MODEL else "",
        note=NOTE,
        code=code_digest("workflow_scripts.report.claims"),
    message:
        "Claims of the report and what became of them"
    shell:
        "python -m workflow_scripts.report.claims --runs {params.runs} --fit {input.fit} "
        "{params.ablation} --profile {input.profile} --reading {input.reading} "
        "--rows {input.rows} {params.model} --published {input.published} "
        f"--note={{params.note:q}} --folder {TABLES} > {{log}} 2>&1"


rule tabulate_ablation:
    input:
        files_of(ablation_dirs(), "training.json", "scores.json", "predictions.parquet"),
    output:
        table=f"{TABLES}/ablation.csv",
        figure=in_report(
            f"{FIGURES}/ablation.svg",
            "ablation",
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
        note=NOTE,
        style=style_of("ablation"),
        code=code_digest("workflow_scripts.report.ablation"),
    message:
        "What each repair is worth"
    shell:
        "python -m workflow_scripts.report.ablation --runs {params.runs} "
        "--worse {params.worse} --better {params.better} --table {output.table} "
        f"--figure {FIGURES}/ablation "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"


rule ablation:
    input:
        rules.tabulate_ablation.output,


rule write_landing:
    input:
        f"{TABLES}/summary.csv",
        f"{TABLES}/over_seeds.csv",
        f"{TABLES}/claims.csv",
        f"{TABLES}/best_run.json",
        fit=FIT,
        published=PUBLISHED,
    output:
        "results/report/workflow.rst",
    log:
        "logs/report/write_landing.log",
    conda:
        "../envs/essence.yaml"
    params:
        note=NOTE,
        code=code_digest("workflow_scripts.report.landing"),
    message:
        "The front page of the report"
    shell:
        f"python -m workflow_scripts.report.landing --tables {TABLES} "
        "--fit {input.fit} --published {input.published} --note={params.note:q} "
        "--out {output} > {log} 2>&1"


BOTH = ("svg", "png")
REPORT_PARTS = [
    expand(
        f"{FIGURES}/{{name}}.{{kind}}",
        name=["figure_3.1_tasks", "lengths", "fit"],
        kind=BOTH,
    ),
    [
        f"{FIGURES}/{figure}_{recipe}.{kind}"
        for recipe in RECIPES
        for figure in (
            *loss_figures(runs_of(config, recipe)),
            *task_figures(runs_of(config, recipe)),
        )
        for kind in BOTH
    ],
    expand(f"{FIGURES}/heatmap_{{recipe}}.{{kind}}", recipe=GRIDS, kind=BOTH),
    expand(f"{FIGURES}/carried_weights_{{recipe}}.{{kind}}", recipe=CARRIED, kind=BOTH),
    expand(f"{TABLES}/predictions_{{recipe}}.html", recipe=RECIPES),
    expand(
        f"{TABLES}/{{name}}",
        name=["results.csv", "summary.html", "models.html", "runs.html", "claims.html"],
    ),
    "results/examples/examples.html",
    [f"{FIGURES}/execution.{kind}" for kind in BOTH if DATABASES],
    [f"{FIGURES}/ablation.svg" for _ in ABLATION],
    "results/report/workflow.rst",
]
REPORT_ITEMS = [REPORT_PARTS, "results/report.html"]


# What the report holds: the target of the Snakemake that builds it.
rule report_parts:
    input:
        REPORT_PARTS,


# Snakemake's own report, as a file like any other: made again when a part of it or a caption has
# changed, and only then. The inner Snakemake runs no jobs; it reads the results and what this one
# has noted of them, with the same configuration, while this one holds the lock.
rule make_report:
    input:
        REPORT_PARTS,
        captions=sorted(map(str, Path("rules/captions").glob("*.rst"))),
        stylesheet="rules/report.css",
    output:
        page="results/report.html",
        config="results/report/overrides.yaml",
    log:
        "logs/report/make_report.log",
    conda:
        "../envs/essence.yaml"
    params:
        snakefile=os.path.relpath(workflow.main_snakefile),
        overrides=yaml.safe_dump(dict(workflow.config_settings.overwrite_config)),
    message:
        "The report: {output}"
    shell:
        "printf %s {params.overrides:q} > {output.config}; "
        "python -m snakemake --snakefile {params.snakefile} --configfile {output.config} "
        "--nolock --quiet all --report-stylesheet {input.stylesheet} --report {output.page} "
        "report_parts > {log} 2>&1"
