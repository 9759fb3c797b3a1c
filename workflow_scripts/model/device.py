"""The device of one process: at most one GPU, bf16 where the hardware has it, one thread count."""

import contextlib
import ctypes
import itertools
import os
import tempfile
import time

from filelock import FileLock, Timeout

from workflow_scripts.errors import EssenceError
from workflow_scripts.model import say
from workflow_scripts.runs import DeviceFacts

# Asks the driver's library for the GPUs instead of opening them: they must not be opened before
# the one to use is chosen.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
# Read by cuBLAS when it starts; without it, matrix products on a GPU are not reproducible.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Read by oneDNN when it starts: how many shapes of products it keeps compiled; else it is 1,024,
# fewer than some trainings have.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "4096")

_held: list[FileLock | None] = []  # the lock of this process's GPU, until the process ends


def choose_device(wanted: str, precision: str, threads: int = 1) -> DeviceFacts:
    """Choose the device and make torch deterministic on it.

    `wanted` is auto, cpu or cuda; `precision` is auto, fp32 or bf16. Raises EssenceError for `cuda`
    without a GPU.
    """
    import torch

    torch.set_num_threads(threads)
    torch.utils.deterministic.fill_uninitialized_memory = False
    gpus = 0 if wanted == "cpu" else torch.cuda.device_count()
    kind = "cuda" if gpus else "cpu"
    if gpus:
        _held.append(_take_gpu(gpus))
        name, has_bf16 = torch.cuda.get_device_name(0), torch.cuda.is_bf16_supported(False)
    elif wanted == "cuda":
        raise EssenceError(
            "model.device is cuda, but no GPU is visible here. Run on a machine with an NVIDIA "
            "GPU and a CUDA build of torch, or set model.device to auto or cpu."
        )
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        keep_freed_memory()
        able = torch.cpu.get_capabilities()  # emulated, bf16 is slower than fp32
        name = torch.backends.cpu.get_cpu_capability()
        has_bf16 = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
        if wanted == "auto":
            say("note: no GPU found: running on the CPU")
    # Some GPU kernels of torch have no deterministic form: they warn there instead of failing.
    torch.use_deterministic_algorithms(True, warn_only=kind == "cuda")
    if precision == "bf16" and not has_bf16:
        say(f"note: {name} has no bf16: computing in fp32")
    chosen = "bf16" if precision != "fp32" and has_bf16 else "fp32"
    say(f"device: {kind} ({name}), {chosen}, {threads} thread(s)")
    return DeviceFacts(kind=kind, name=name, precision=chosen, threads=threads)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones.

    By itself it gives blocks above 32 MiB back at once, and the kernel clears them again at every
    step: up to a quarter of the time of one. Elsewhere than on Linux nothing changes.
    """
    trim, mmap = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap, 2**30)
        mallopt(trim, 2**31 - 1)


def _take_gpu(count: int) -> FileLock | None:
    """Leave one GPU visible to this process, as long as the lock that is returned is held.

    One that a scheduler names in CUDA_VISIBLE_DEVICES is taken as it is, without a lock. Otherwise
    processes share the visible ones by file locks, and wait when all are taken.
    """
    given = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    if len(given) == 1:
        return None
    names = given or [str(index) for index in range(count)]
    place = f"{tempfile.gettempdir()}/essence-gpu-{os.getuid()}"
    for attempt in itertools.count():
        for name in names:
            lock = FileLock(f"{place}-{name}.lock", fallback_to_soft=False)
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                os.environ["CUDA_VISIBLE_DEVICES"] = name
                return lock
        if attempt == 0:
            say(
                f"every GPU ({', '.join(names)}) is taken by another training: waiting. "
                "Set CUDA_VISIBLE_DEVICES to one of them to share it."
            )
        time.sleep(2)
