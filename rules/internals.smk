# What Snakemake has no documented way for; tests/test_snakemake_internals.py tells when it changes.


def limit_gpus(count):
    """Let as many jobs use a GPU at a time as there are, unless --resources says otherwise.

    Without it every job that a core is free for would start on the same GPU.
    """
    if count and "gpu" not in workflow.global_resources:
        workflow.register_resource("gpu", count)
