# In:  test rows, their databases; a server for each model of `models:`.
# Out: results/models/<name>/: predictions.parquet, answering.json; agents/, what it did in the agents'
#      place. Every answer is kept in resources/downloads/answers/<name>/ and never asked for again.


rule ask_endpoint:
    input:
        **{
            split: [TEST_FILES[split]]
            * (split in splits_tested(config, AGENTS["recipe"]))
            for split in TEST_SPLITS
        },
    output:
        out=f"{ENDPOINT}/predictions.parquet",
        summary=f"{ENDPOINT}/answering.json",
    log:
        "logs/models/{endpoint}/ask.log",
    conda:
        "../envs/essence.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=24 * 60,
    params:
        endpoint=lambda w: settings_json(ENDPOINTS[w.endpoint]),
        answers=lambda w: ENDPOINTS[w.endpoint].folder,
    message:
        "Asking {wildcards.endpoint}"
    shell:
        stage_command("endpoint")


use rule run_agents as run_agents_of_endpoint with:
    input:
        **AGENT_INPUTS,
    output:
        outcomes=f"{ENDPOINT}/agents/outcomes.parquet",
        traces=f"{ENDPOINT}/agents/traces.jsonl",
        summary=f"{ENDPOINT}/agents/answering.json",
    log:
        "logs/models/{endpoint}/agents.log",
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=24 * 60,
    params:
        settings=None,
        model=None,
        endpoint=lambda w: settings_json(ENDPOINTS[w.endpoint]),
        answers=lambda w: ENDPOINTS[w.endpoint].folder,
    message:
        "{wildcards.endpoint} in the agents' place"
