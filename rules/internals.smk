# What Snakemake has no documented way for; tests/test_pipeline.py tells when it changes.


def limit_gpus(count):
    """Let as many jobs use a GPU at a time as there are, unless --resources says otherwise.

    Without it every job that a core is free for would start on the same GPU.
    """
    if count and "gpu" not in workflow.global_resources:
        workflow.register_resource("gpu", count)


def disable_job_rate_limit():
    """No limit on how many jobs start in a second, where jobs run on this machine.

    To keep its limit, Snakemake looks for jobs again a second after each look. So each job that
    ends adds a look a second for the rest of the run (docs/performance.md).
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def warm_up():
    """Start the process that stages which need torch are forks of, where jobs run on this machine.

    Where Snakemake has installed environments, the jobs' Python is another one, which ignores it.
    """
    if workflow.local_exec:
        OWNED.append(warm.start())
