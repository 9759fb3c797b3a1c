# essence: the report "Fine-Tuning On Essence", reproduced, examined and taken further.
# This file is the table of contents; each rules/*.smk opens with what comes in and what leaves.
from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/models.smk"
include: "rules/export.smk"


onstart:
    disable_job_rate_limit()
    # Dies with this process, unlike Snakemake's own lock, which outlives a kill (see nolock in
    # profiles/). Held by the main process only; jobs on a cluster do not come here.
    OWNED.append(take(".snakemake/essence.lock", f"The folder {os.getcwd()}"))
    keep_apart(Path("results"), config)
    warm_up()


rule all:
    default_target: True
    input:
        REPORT_ITEMS,
    localrule: True
