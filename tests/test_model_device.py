"""Devices: one GPU a process, and a word on what was asked for and is not there."""

import os
import tempfile

import pytest
import torch

from workflow_scripts.errors import EssenceError
from workflow_scripts.model import device as module
from workflow_scripts.model.device import choose_device


@pytest.fixture(autouse=True)
def restored(monkeypatch, tmp_path):
    """Leave the environment and torch as they were."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    torch.use_deterministic_algorithms(False)


def test_without_a_gpu_cuda_is_refused_and_auto_takes_the_cpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(EssenceError, match=r"model.device is cuda, but no GPU"):
        choose_device("cuda", "auto")
    device = choose_device("auto", "fp32")
    assert (device.kind, device.precision) == ("cpu", "fp32")
    assert "no GPU found: running on the CPU" in capsys.readouterr().err
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("wanted", "able", "chosen"),
    [("auto", True, "bf16"), ("fp32", True, "fp32"), ("bf16", False, "fp32")],
)
def test_bf16_where_the_cpu_has_it(monkeypatch, capsys, wanted, able, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    device = choose_device("cpu", wanted)
    assert device.precision == chosen
    assert ("has no bf16" in capsys.readouterr().err) == (wanted == "bf16" and not able)


def test_of_several_gpus_a_process_takes_one_that_is_free_or_waits(monkeypatch, capsys):
    locks = [module._take_gpu(2)]
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == "0"
    locks.append(module._take_gpu(2))
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == "1"
    monkeypatch.setattr(module.time, "sleep", lambda _: locks[0].release())
    locks.append(module._take_gpu(2))
    assert "every GPU (0, 1) is taken by another training: waiting" in capsys.readouterr().err
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")  # a scheduler's choice is taken as it is
    assert module._take_gpu(1) is None and module._take_gpu(1) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    for lock in locks:
        lock.release()
