"""What a run was made from and on: enough to make it again, or to see why it differs."""

import importlib.metadata
import platform
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.digest import code_digest
from workflow_scripts.files import digest_of, sha256
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.model.load import base_digest
from workflow_scripts.model.micro_batch import MicroBatch
from workflow_scripts.runs import (
    Base,
    DeviceFacts,
    Git,
    ModelSource,
    Provenance,
    Weights,
)
from workflow_scripts.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "pyarrow")


@dataclass(frozen=True)
class Sources:
    """All that decides the bytes of a training: equal sources, equal results."""

    settings: Settings
    data: dict[str, str]  # split -> sha256 of its rows
    base: Base
    device: DeviceFacts
    code: str

    @classmethod
    def of(
        cls, settings: Settings, samples: dict[str, Path], base: Path, device: DeviceFacts
    ) -> "Sources":
        return cls(
            settings=settings,
            data={split: sha256(path) for split, path in samples.items()},
            base=_base(base),
            device=device,
            code=code_digest("workflow_scripts.model.train"),
        )

    @property
    def fingerprint(self) -> str:
        facts = {
            "settings": self.settings.model_dump(),
            "data": self.data,
            "base": self.base.digest,
            "code": self.code,
            "device": [self.device.kind, self.device.precision],
            "versions": package_versions(self.settings),
        }
        return digest_of(facts)[:16]


class Clock:
    """Seconds of each part of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def part_done(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now


def provenance(
    sources: Sources,
    micro_batch: MicroBatch,
    starts: int,
    seconds: dict[str, float],
    weights: Weights,
) -> Provenance:
    """The facts of a run whose weights are on the disk, and of the machine that we are on."""
    settings, device = sources.settings, sources.device
    return Provenance(
        recipe=settings.recipe.name,
        run=settings.run.name,
        seed=settings.seed,
        settings=settings,
        fingerprint=sources.fingerprint,
        data=sources.data,
        base=sources.base,
        code=sources.code,
        lock=_lock_digest(),
        device=device.model_copy(update={"notes": device.notes + micro_batch.notes}),
        versions={"python": platform.python_version(), **package_versions(settings)},
        git=_git_state(),
        platform=platform.platform(),
        batch=micro_batch.facts,
        starts=starts,
        seconds=seconds,
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        model=weights,
    )


def _base(folder: Path) -> Base:
    source = folder / SOURCE
    return Base(
        folder=str(folder),
        digest=base_digest(folder),
        source=ModelSource.read(source) if source.is_file() else None,
    )


def package_versions(settings: Settings) -> dict[str, str]:
    """Of the packages that these settings use."""
    model = settings.model
    extras = {"peft": model.lora, "bitsandbytes": model.load_4bit, "liger-kernel": model.liger}
    used = [*PACKAGES, *(name for name, wanted in extras.items() if wanted)]
    return {name: importlib.metadata.version(name) for name in used}


def _lock_digest() -> str | None:
    lock = ROOT / "requirements.lock"
    return sha256(lock) if lock.is_file() else None


def _git_state() -> Git:
    """Both None where there is no git or no repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return Git(commit=None, dirty=None)
    return Git(commit=commit.strip(), dirty=bool(changes.strip()))


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    ).stdout
