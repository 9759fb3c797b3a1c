"""The device of one process: at most one GPU, bf16 where the hardware has it, one thread count."""

import fcntl
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workflow_scripts.errors import EssenceError

# Asks the driver's library for the GPUs instead of opening them: they must not be opened before
# the one to use is chosen.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
# Read by cuBLAS when it starts; without it, matrix products on a GPU are not reproducible.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@dataclass
class Device:
    """Where and how precisely to compute; `notes` says what was asked for and could not be had."""

    kind: str  # cpu | cuda
    name: str
    precision: str  # fp32 | bf16
    threads: int
    notes: list[str] = field(default_factory=list)
    lock: IO[Any] | None = None  # held as long as the process lives

    @property
    def bf16(self) -> bool:
        return self.precision == "bf16"

    def facts(self) -> dict[str, Any]:
        keys = ("kind", "name", "precision", "threads", "notes")
        return {key: getattr(self, key) for key in keys}


def choose_device(wanted: str, precision: str, threads: int = 1) -> Device:
    """Choose the device and make torch deterministic on it.

    `wanted` is auto, cpu or cuda; `precision` is auto, fp32 or bf16. Raises EssenceError for
    `cuda` without a GPU.
    """
    import torch

    torch.set_num_threads(threads)
    torch.utils.deterministic.fill_uninitialized_memory = False
    lock, notes = None, []
    if wanted != "cpu":
        lock = _take_gpu(torch.cuda.device_count())
        if lock is None and wanted == "cuda":
            raise EssenceError(
                "model.device is cuda, but no GPU is visible here. Run on a machine with an NVIDIA "
                "GPU and a CUDA build of torch, or set model.device to auto or cpu."
            )
        if lock is None:
            notes.append("no GPU found: running on the CPU")
    if lock is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    kind = "cpu" if lock is None else "cuda"
    # Some GPU kernels of torch have no deterministic form: they warn there instead of failing.
    torch.use_deterministic_algorithms(True, warn_only=kind == "cuda")
    name = _cpu_name() if kind == "cpu" else torch.cuda.get_device_name(0)
    has_bf16 = cpu_has_bf16() if kind == "cpu" else torch.cuda.is_bf16_supported(False)
    if precision == "bf16" and not has_bf16:
        notes.append(f"{name} has no bf16: computing in fp32")
    chosen = "bf16" if precision != "fp32" and has_bf16 else "fp32"
    device = Device(kind, name, chosen, threads, notes, lock)
    for note in notes:
        print(f"note: {note}", file=sys.stderr, flush=True)
    print(f"device: {kind} ({name}), {chosen}, {threads} thread(s)", file=sys.stderr, flush=True)
    return device


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 numbers itself; emulated, they are slower than fp32."""
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _take_gpu(count: int) -> IO[Any] | None:
    """Leave one GPU visible to this process, or return None when there is none.

    A scheduler that hands out GPUs names one in CUDA_VISIBLE_DEVICES, which is then taken as it
    is. Otherwise processes share the visible ones by file locks, and wait when all are taken.
    """
    if count == 0:
        return None
    given = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    folder = Path(tempfile.gettempdir()) / f"essence-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    if len(given) == 1:
        return open(os.devnull, "rb")
    names = given or [str(index) for index in range(count)]
    said = False
    while True:
        for name in names:
            file = open(folder / f"{name}.lock", "ab")  # noqa: SIM115
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            return file
        if not said:
            print(
                f"every GPU ({', '.join(names)}) is taken by another training: waiting. "
                "Set CUDA_VISIBLE_DEVICES to one of them to share it.",
                file=sys.stderr,
                flush=True,
            )
            said = True
        time.sleep(2)


def _cpu_name() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "CPU"
