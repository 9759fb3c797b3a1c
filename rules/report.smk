# In:  figures, tables and pages of answers.
# Out: results/report.html, and REPORT_ITEMS for `rule all`.
report: "../results/report/workflow.rst"


include: "report_common.smk"


FIT = [f"results/fit/{recipe}.json" for recipe in RECIPES]


include: "figures.smk"
include: "tables.smk"
include: "answers.smk"


rule write_front_page:
    input:
        summary=f"{TABLES}/summary.csv",
        means=f"{TABLES}/over_seeds.csv",
        claims=f"{TABLES}/claims.json",
        best=f"{TABLES}/best_run.json",
        fit=FIT,
        published=PUBLISHED,
    output:
        page="results/report/workflow.rst",
    log:
        "logs/report/write_front_page.log",
    conda:
        "../envs/essence.yaml"
    params:
        recipes=settings_json(config["claims"]),
        note=NOTE,
    message:
        "The front page of the report"
    shell:
        stage_command("report.pages.front_page")


REPORT_PARTS.append("results/report/workflow.rst")
REPORT_ITEMS = [REPORT_PARTS, MODEL_CARDS, "results/report.html"]


# The words beside each figure and table, from the modules that make them.
rule write_captions:
    output:
        list(CAPTIONS),
    log:
        "logs/report/write_captions.log",
    params:
        texts=CAPTIONS,
    message:
        "The captions of the report"
    run:
        for path, text in params.texts.items():
            write_text(path, text)


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
        captions=list(CAPTIONS),
        stylesheet="rules/report.css",
    output:
        page="results/report.html",
        config="results/report/config.yaml",
    log:
        "logs/report/make_report.log",
    conda:
        "../envs/essence.yaml"
    params:
        config=settings_json(CONFIG_AS_GIVEN),
    message:
        "The report: {output}"
    shell:
        "printf %s {params.config:q} > {output.config}; "
        "python -m snakemake --configfile {output.config} "
        "--nolock --quiet all --report-stylesheet {input.stylesheet} --report {output.page} "
        "report_parts > {log} 2>&1"
