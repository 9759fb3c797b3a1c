# In:  figures, tables and pages of answers.
# Out: results/report.html, results/snakemake_report.html, and REPORT_ITEMS for `rule all`.
report: "snakemake_report.rst"


include: "report_common.smk"


FIT = [f"results/fit/{recipe}.json" for recipe in RECIPES]


include: "figures.smk"
include: "answers.smk"
include: "agents.smk"
include: "tables.smk"


REPORT_ITEMS = [
    REPORT_PARTS,
    MODEL_CARDS,
    "results/report.html",
    "results/snakemake_report.html",
]


# What the report shows, in its order, and the words beside it from the modules that make it.
rule list_sections:
    output:
        sections="results/report/sections.json",
    log:
        "logs/report/list_sections.log",
    params:
        sections=settings_json(
            sorted(SECTIONS, key=lambda each: (each["chapter"], each["title"]))
        ),
    message:
        "What the report shows"
    run:
        write_json(output.sections, {"sections": json.loads(params.sections)})


rule make_report:
    input:
        REPORT_PARTS,
        sections=rules.list_sections.output.sections,
        results=f"{TABLES}/results.csv",
        claims=f"{TABLES}/claims.json",
        best=f"{TABLES}/best_runs.json",
        fit=FIT,
        picture=f"{FIGURES}/fit.svg",
        shipped="resources/shipped_results.json",
        ablation=[f"{TABLES}/ablation.csv"] if ABLATION_IN_REPORT else [],
    output:
        page="results/report.html",
    log:
        "logs/report/make_report.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipes=settings_json(config["claims"]),
        note=NOTE,
    message:
        "The report: {output}"
    shell:
        stage_command("report.pages.report")


# What Snakemake's own report holds: the target of the Snakemake that builds it.
rule report_parts:
    input:
        REPORT_PARTS,


# Snakemake's own report, for the graph of the jobs, their code and run times: a file like any
# other, made again when a part of it has changed. The inner Snakemake runs no jobs; it reads the
# results and what this one has noted of them, with the same configuration, while this one holds
# the lock.
rule make_snakemake_report:
    input:
        REPORT_PARTS,
    output:
        page="results/snakemake_report.html",
        config="results/report/config.yaml",
    log:
        "logs/report/make_snakemake_report.log",
    conda:
        "../envs/essence.yaml"
    params:
        config=settings_json(CONFIG_AS_GIVEN),
    message:
        "Snakemake's own report: {output.page}"
    shell:
        "printf %s {params.config:q} > {output.config}; "
        "python -m snakemake --configfile {output.config} "
        "--nolock --quiet all --report {output.page} report_parts > {log} 2>&1"
