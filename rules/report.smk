# In:  figures, tables and pages of answers.
# Out: results/report.html, and REPORT_ITEMS for `rule all`.
report: "snakemake_report.rst"


include: "report_common.smk"
include: "answers.smk"
include: "agents.smk"
include: "figures.smk"
include: "tables.smk"


REPORT_ITEMS = [REPORT_PARTS, "results/report.html"]
EXAMPLES = TABLES_KNOWN["examples"]
show("results/examples/", EXAMPLES, EXAMPLES["title"], "examples")


rule make_report:
    input:
        REPORT_PARTS,
        f"{TABLES}/over_seeds.csv",
        f"{TABLES}/best_runs.json",
        answers=OF_RUNS["answers"],
        published=PUBLISHED,
        fit=FIT,
        picture=f"{FIGURES}/fit.svg",
        shipped=SHIPPED,
        examples=expand("results/examples/{recipe}.parquet", recipe=RECIPES),
        train=best_rows("train"),
        val=best_rows("val"),
        test=TEST_ROWS,
        outcomes=["results/agents/outcomes.parquet"] * bool(AGENT_SPLITS),
        traces=["results/agents/traces.jsonl"] * bool(AGENT_SPLITS),
        ablation=ABLATION,
    output:
        page="results/report.html",
    log:
        "logs/report/make_report.log",
    localrule: True
    conda:
        "../envs/essence.yaml"
    params:
        shown=settings_json({"sections": SECTIONS}),
        tables=lambda wildcards: TABLES,
        recipes=settings_json(config["claims"]),
        agents_recipe=AGENTS["recipe"],
        note=NOTE,
    message:
        "The report: {output}"
    shell:
        stage_command("report.page")
