# In:  the best run of the agents' recipe, its test rows, their databases.
# Out: results/agents/, what the three agents do together with each question.

AGENTS = config["agents"]
AGENT_SPLITS = [
    split
    for split in splits_tested(config, AGENTS["recipe"])
    if agents_are_evaluated(config)
]
# Whoever answers, the agents are asked about these.
AGENT_INPUTS = {
    **{split: [TEST_FILES[split]] * (split in AGENT_SPLITS) for split in TEST_SPLITS},
    "rows": "results/data/rows.parquet",
    "database_files": DATABASE_FILES + OTHER_DATABASE_FILES,
}


rule run_agents:
    input:
        lambda w: [
            f"{RUN.format(**best_run(AGENTS['recipe']))}/model/{name}"
            for name in MODEL_FILES
        ],
        **AGENT_INPUTS,
    output:
        outcomes="results/agents/outcomes.parquet",
        traces="results/agents/traces.jsonl",
        summary=[],
    log:
        "logs/agents/run_agents.log",
    conda:
        "../envs/essence.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory_to_answer(lambda wildcards: settings_of_best(AGENTS["recipe"])),
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda wildcards: settings_json(settings_of_best(AGENTS["recipe"])),
        model=lambda w: f"{RUN.format(**best_run(AGENTS['recipe']))}/model",
        endpoint=None,
        answers=None,
        loop=settings_json(Loop(**AGENTS)),
        questions=AGENTS["questions"],
        databases=lambda wildcards: DATABASES,
        other_databases=OTHER["databases"] if OTHER else None,
        batch_size=config["prediction"]["batch_size"],
        seconds=config["execution"]["seconds"],
    message:
        "The agents at work together"
    shell:
        stage_command("agents.evaluate")
