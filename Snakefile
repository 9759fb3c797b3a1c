# essence: the report "Fine-Tuning On Essence", reproduced, examined and taken further.
# This file is the table of contents; each rules/*.smk opens with what comes in and what leaves.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        REPORT_ITEMS,
