"""A real Slurm cluster of two nodes on this machine, one with a pretended GPU, for the tests.

Debian's packages slurm-wlm and munge, started as root without systemd or a database. The
configuration lies in /etc/slurm, because Slurm's own job steps look for it there; an
existing one that is not ours is never touched.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ETC = Path("/etc/slurm")
MARK = "# written by essence's tests"


def why_not() -> str | None:
    """Why no cluster can be started here, or None."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "starting a Slurm cluster needs root"
    config = ETC / "slurm.conf"
    if config.exists() and not config.read_text().startswith(MARK):
        return f"{config} is another cluster's"
    return None


def _configuration(folder: Path, ports: list[int]) -> str:
    host = socket.gethostname().split(".")[0]
    return f"""{MARK}
ClusterName=essence
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=3600
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=DEFAULT CPUs=4 RealMemory=16000
NodeName=c1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} Gres=gpu:fake:1
PartitionName=cpu Nodes=c1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=g1 MaxTime=INFINITE State=UP
"""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Start the cluster with its state in `folder`; stop everything afterwards."""
    for name in ("state", "spool-c1", "spool-g1"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ETC.mkdir(exist_ok=True)
    (ETC / "slurm.conf").write_text(_configuration(folder, _free_ports(3)))
    (ETC / "gres.conf").write_text(f"{MARK}\nNodeName=g1 Name=gpu Type=fake File=/dev/zero\n")
    _start_munge()
    daemons = [
        subprocess.Popen([*command, "-D"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (["slurmctld"], ["slurmd", "-N", "c1"], ["slurmd", "-N", "g1"])
    ]
    try:
        _wait_for_nodes(folder)
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], capture_output=True, timeout=60)
        time.sleep(1)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)


def _start_munge() -> None:
    if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "/run/munge"], check=True)
    subprocess.run(["runuser", "-u", "munge", "--", "munged", "--force"], check=True)


def _wait_for_nodes(folder: Path) -> None:
    for _ in range(60):
        answer = subprocess.run(
            ["sinfo", "--noheader", "-N", "-o", "%N %T"], capture_output=True, text=True
        )
        if answer.returncode == 0 and answer.stdout.count("idle") >= 2:
            return
        time.sleep(0.5)
    log = (folder / "slurmctld.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the Slurm cluster did not come up:\n{answer.stdout}{answer.stderr}{log}")
