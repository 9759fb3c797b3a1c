# In:  rows.parquet, lengths.parquet, fit audits, and what every run left under results/runs/.
# Out: results/figures/, each as SVG and PNG.

CARRIED = [
    recipe
    for recipe in RECIPES
    if any(run["starts_from"] != "base" for run in runs_of(config, recipe).values())
]
GRIDS = [recipe for recipe in RECIPES if run_dirs([recipe], experiment=3)]


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
        code=code_digest("workflow_scripts.report.figures.tasks"),
    message:
        "Figure 3.1"
    shell:
        "python -m workflow_scripts.report.figures.tasks --rows {input} "
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
        code=code_digest("workflow_scripts.report.figures.lengths"),
    message:
        "Box plots of lengths"
    shell:
        "python -m workflow_scripts.report.figures.lengths --lengths {input} "
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
        code=code_digest("workflow_scripts.report.figures.fit"),
    message:
        "The fit audit as a figure"
    shell:
        "python -m workflow_scripts.report.figures.fit --fit {input} "
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
            published=(
                f"--published {PUBLISHED}" if REPORTS_ROWS and not OWN_MODEL else ""
            ),
            note=NOTE,
            style=style_of("losses"),
            code=code_digest("workflow_scripts.report.figures.losses"),
        message:
            "Figures 5.1, 5.3, 5.5 to 5.7"
        shell:
            "python -m workflow_scripts.report.figures.losses --figures {params.figures:q} "
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
                code=code_digest("workflow_scripts.report.figures.task_losses"),
            message:
                "Figures 5.2 and 5.4"
            shell:
                "python -m workflow_scripts.report.figures.task_losses --figures {params.figures:q} "
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
        code=code_digest("workflow_scripts.report.figures.heatmap"),
    message:
        "Learning rate x batch size ({wildcards.recipe})"
    shell:
        "python -m workflow_scripts.report.figures.heatmap --runs {params.runs} "
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
        code=code_digest("workflow_scripts.report.figures.execution"),
    message:
        "Execution accuracy by task and hardness"
    shell:
        "python -m workflow_scripts.report.figures.execution --runs {params.runs} "
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
        code=code_digest("workflow_scripts.report.figures.carried_weights"),
    message:
        "The chain of carried weights ({wildcards.recipe})"
    shell:
        "python -m workflow_scripts.report.figures.carried_weights --chain {params.chain} "
        "--title 'The chain of carried weights ({wildcards.recipe})' "
        f"--published {{input.published}} --out {FIGURES}/carried_weights_{{wildcards.recipe}} "
        "--note={params.note:q} --style {params.style:q} > {log} 2>&1"
