# In:  a sample's train.parquet and val.parquet, the base model or another run's model.
# Out: results/random_base/seed<k>/ and results/random_t5_small/, where runs start from random weights;
#      results/runs/<recipe>/<run>/seed<k>/: model/, training_log.jsonl, training.json, provenance.json.
#      Checkpoints live in work/, outside all declared outputs.


rule make_random_base:
    input:
        [f"{BASE_MODEL}/{name}" for name in MODEL_FILES if name.endswith(".json")],
    output:
        [f"{RANDOM_BASE}/{name}" for name in MODEL_FILES],
    log:
        "logs/random_base/seed{seed}.log",
    conda:
        "../envs/essence.yaml"
    params:
        config=lambda wildcards, input: str(Path(input[0]).parent),
        out=RANDOM_BASE,
        seed=lambda wildcards: int(wildcards.seed),
    message:
        "The base model with random weights, seed {wildcards.seed}"
    shell:
        stage_command("model.random_weights")


# What configs/rehearsal.yaml starts from.
rule make_t5_small:
    output:
        expand(
            f"{T5_SMALL}/{{file}}.json",
            file=["config", "tokenizer", "tokenizer_config"],
        ),
    log:
        "logs/t5_small.log",
    conda:
        "../envs/essence.yaml"
    params:
        out=lambda wildcards, output: str(Path(output[0]).parent),
    message:
        "Configuration and tokenizer of T5-small's size"
    shell:
        stage_command("tools.t5_small")


use rule make_random_base as make_random_t5_small with:
    input:
        rules.make_t5_small.output,
    output:
        [f"{RANDOM_T5_SMALL}/{name}" for name in MODEL_FILES],
    log:
        "logs/random_t5_small.log",
    params:
        out=lambda wildcards, output: str(Path(output[0]).parent),
        seed=SEEDS[0],
    message:
        "A model of T5-small's size with random weights"


rule train:
    input:
        unpack(training_inputs),
    output:
        model=[f"{RUN}/model/{name}" for name in MODEL_FILES],
        log=f"{RUN}/training_log.jsonl",
        summary=f"{RUN}/training.json",
        provenance=f"{RUN}/provenance.json",
    log:
        "logs/runs/{recipe}/{run}/seed{seed}/train.log",
    # First of all: as_run's trainings wait for one another, and the rest can be done meanwhile.
    priority: 1
    conda:
        "../envs/essence.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda w, input, attempt: attempt
        * training_memory(
            settings_of(w),
            sum(Path(path).stat().st_size for path in input.base) / 1e6,
            on_gpu=bool(GPUS),
        ),
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=lambda w: settings_json(settings_of(w)),
        base=lambda wildcards, input: str(Path(input.base[0]).parent),
        out=RUN,
        work="work/runs/{recipe}/{run}/seed{seed}",
    message:
        "Training {wildcards.run} ({wildcards.recipe}, seed {wildcards.seed})"
    shell:
        stage_command("model.train", warm=True)
