"""What a run was made from and on: enough to make it again, or to see why it differs."""

import importlib.metadata
import platform
import resource
import subprocess
from pathlib import Path
from typing import Any

from workflow_scripts.files import sha256

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "pyarrow")


def surroundings() -> dict[str, Any]:
    """The code's commit, the packages and the machine."""
    return {
        "git": git_state(),
        "versions": {"python": platform.python_version(), **versions()},
        "platform": platform.platform(),
    }


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def git_state() -> dict[str, Any]:
    """{"commit", "dirty"}, both None where there is no git or no repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def lock_digest() -> str | None:
    """sha256 of requirements.lock, or None when there is none."""
    lock = ROOT / "requirements.lock"
    return sha256(lock) if lock.is_file() else None


def peak_memory_mib() -> int:
    """The most main memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class EnergyMeter:
    """Joules that the GPU has used since the meter was made; None where nothing can tell."""

    def __init__(self, kind: str):
        self.handle = _open_nvml() if kind == "cuda" else None
        self.before = self._read()

    def joules(self) -> float | None:
        now = self._read()
        return None if now is None or self.before is None else now - self.before

    def _read(self) -> float | None:
        if self.handle is None:
            return None
        import pynvml

        try:
            return pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) / 1000
        except pynvml.NVMLError:
            return None


def _open_nvml() -> Any:
    """The handle of this process's GPU, or None without pynvml, which is optional."""
    try:
        import pynvml
        import torch
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    except pynvml.NVMLError:
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    ).stdout
