# In:  the raw rows (the twin, a file, an address, questions and databases) and the base model's
#      tokenizer.
# Out: results/data/: rows.parquet, quarantine.jsonl, reading.json, profile.json, lengths.parquet,
#      test.parquet, unseen.parquet, other.parquet,
#      samples/<sample>/seed<k>/{train,val}.parquet; results/fit/<recipe>.json.

DOWNLOADED, BUILT_ROWS = "resources/downloads/rows.jsonl", "resources/built/rows.jsonl"
RAW_ROWS = {"twin": TWIN_ROWS, "path": config["data"]["path"]}
RAW_ROWS |= dict.fromkeys(BUILT, BUILT_ROWS)
RAW_ROWS = RAW_ROWS.get(config["data"]["source"], DOWNLOADED)
SAMPLE = "results/data/samples/{sample}/seed{seed}"
SAMPLES = {
    sample_name(config, recipe, run): (recipe, run)
    for recipe in config["recipes"]
    for run in runs_of(config, recipe)
}
# The samples that stay away from test rows.
APART = [
    name
    for name, (recipe, _) in SAMPLES.items()
    if config["recipes"][recipe]["test_set"]
]

# What comes with the workflow and is read by jobs.
OWN_FILES = [PUBLISHED, SHIPPED, *(f"{STANDIN}/{name}" for name in MODEL_FILES)]


if not ROOT.samefile("."):

    # Into the working directory, so that nothing that Snakemake compares depends on where the
    # workflow lies.
    rule copy_own_files:
        output:
            OWN_FILES,
        log:
            "logs/data/copy_own_files.log",
        localrule: True
        conda:
            "../envs/essence.yaml"
        params:
            content=[sha256(ROOT / name) for name in OWN_FILES],
        message:
            "Copying what comes with the workflow"
        shell:
            '(cd "$ESSENCE"; cp --parents {output} "$OLDPWD") > {log} 2>&1'


rule build_twin:
    output:
        rows=TWIN_ROWS,
        truth="resources/twin/truth.jsonl",
        card="resources/twin/card.json",
        databases=DATABASE_FILES if TWIN else [],
    log:
        "logs/data/build_twin.log",
    conda:
        "../envs/essence.yaml"
    params:
        out=lambda wildcards, output: str(Path(output.card).parent),
        settings=settings_json(config["twin"]),
    message:
        "Making the twin: databases, questions and {output.rows}"
    shell:
        stage_command("tools.twin.build")


rule build_rows:
    input:
        questions=config["data"].get("questions") or [],
        tables=config["data"].get("tables") or [],
        predictions=config["data"].get("predictions") or [],
        database_files=DATABASE_FILES,
    output:
        out=BUILT_ROWS,
        card="resources/built/rows.card.json",
    log:
        "logs/data/build_rows.log",
    conda:
        "../envs/essence.yaml"
    params:
        format=config["data"]["source"],
        databases=lambda wildcards: DATABASES,
        seconds=config["execution"]["seconds"],
    message:
        "Building rows from {input.questions} and {params.databases}"
    shell:
        stage_command("data.build")


rule fetch_rows:
    output:
        out=DOWNLOADED,
    log:
        "logs/data/fetch_rows.log",
    localrule: True
    conda:
        "../envs/essence.yaml"
    params:
        address={
            "drive": "drive:{drive_id}",
            "hub": "hub:{dataset}@{revision}",
            "url": "{url}",
        }
        .get(config["data"]["source"], "")
        .format(**config["data"]),
        # The report's rows are known: another file is refused.
        git_blob=report_files().raw.git_blob_sha1 if REPORTS_ROWS else None,
        member=report_files().raw.name if REPORTS_ROWS else None,
    message:
        "Downloading the rows"
    shell:
        stage_command("data.fetch")


if config["model"].get("revision"):

    # Where only the login node of a cluster has a network: `snakemake fetch_rows fetch_base_model`.
    rule fetch_base_model:
        output:
            [f"{BASE_MODEL}/{name}" for name in (*MODEL_FILES, SOURCE)],
        log:
            "logs/data/fetch_base_model.log",
        localrule: True
        conda:
            "../envs/essence.yaml"
        params:
            name=config["model"]["base"],
            revision=config["model"]["revision"],
            sha256=config["model"].get("sha256"),
            out=lambda wildcards, output: str(Path(output[0]).parent),
        message:
            "Downloading the base model {params.name}"
        shell:
            stage_command("model.fetch")


rule read_rows:
    input:
        raw=RAW_ROWS or [],
        database_files=DATABASE_FILES,
    output:
        rows="results/data/rows.parquet",
        summary="results/data/reading.json",
    log:
        "logs/data/read_rows.log",
        # A log, so that it is there to be read when too many rows were unreadable.
        quarantine="results/data/quarantine.jsonl",
    conda:
        "../envs/essence.yaml"
    params:
        max_quarantine=config["data"]["max_quarantine"],
        databases=lambda wildcards: DATABASES,
    message:
        "Reading and linking {input.raw}"
    shell:
        stage_command("data.read")


if OTHER:

    use rule read_rows as read_other with:
        input:
            raw=OTHER["rows"],
            database_files=OTHER_DATABASE_FILES,
        output:
            rows=TEST_FILES["other"],
            summary="results/data/other.reading.json",
        log:
            "logs/data/read_other.log",
            quarantine="results/data/other.quarantine.jsonl",
        params:
            databases=OTHER["databases"],


rule profile_rows:
    input:
        rows="results/data/rows.parquet",
        tokenizer=f"{BASE_MODEL}/tokenizer.json",
    output:
        profile="results/data/profile.json",
        lengths="results/data/lengths.parquet",
    log:
        "logs/data/profile_rows.log",
    conda:
        "../envs/essence.yaml"
    message:
        "Analysing the rows: duplicates, empty fields, anomalies, lengths"
    shell:
        stage_command("data.profile")


rule audit_fit:
    input:
        rows="results/data/rows.parquet",
        tokenizer=f"{BASE_MODEL}/tokenizer.json",
        model=expand(
            f"{BASE_MODEL}/{{file}}", file=["config.json", "tokenizer_config.json"]
        ),
    output:
        out="results/fit/{recipe}.json",
    log:
        "logs/fit/{recipe}.log",
    conda:
        "../envs/essence.yaml"
    params:
        tokenizer=lambda wildcards, input: str(Path(input.tokenizer).parent),
        recipe=lambda w: settings_json(recipe_settings(config, w.recipe)),
    message:
        "What the recipe {wildcards.recipe} keeps of the rows"
    shell:
        stage_command("text.fit")


rule draw_test:
    input:
        rows="results/data/rows.parquet",
    output:
        test=TEST_FILES["test"],
        unseen=TEST_FILES["unseen"],
        card="results/data/test.card.json",
    log:
        "logs/data/draw_test.log",
    conda:
        "../envs/essence.yaml"
    params:
        per_task=settings_json(config["test_set"]["rows"]),
        seed=config["test_set"]["seed"],
        unseen_databases=config["test_set"]["unseen_databases"],
    message:
        "Setting the test rows aside"
    shell:
        stage_command("data.draw_test")


rule draw_sample:
    input:
        rows="results/data/rows.parquet",
        # Left out of every sample, unless the recipe does without a test set.
        test=lambda w: TEST_FILES["test"] if w.sample in APART else [],
    output:
        train=f"{SAMPLE}/train.parquet",
        val=f"{SAMPLE}/val.parquet",
        card=f"{SAMPLE}/card.json",
    log:
        "logs/data/samples/{sample}/seed{seed}.log",
    conda:
        "../envs/essence.yaml"
    params:
        settings=lambda w: settings_json(
            sample_settings(config, *SAMPLES[w.sample], int(w.seed))
        ),
        unseen_databases=lambda w: (
            config["test_set"]["unseen_databases"] if w.sample in APART else []
        ),
    message:
        "Drawing the rows {wildcards.sample}, seed {wildcards.seed}"
    shell:
        stage_command("data.draw_sample")
