"""Devices are checked once, and an unknown or absent one is named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import pcsr_zoo
from pcsr_zoo.devices import as_device
from pcsr_zoo.errors import OptionError


def without_gpus(monkeypatch, count=0, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_the_cpu_is_the_default(device):
    assert as_device(device) == "cpu"
    assert as_device() == "cpu"


def test_the_cpu_needs_no_torch():
    code = "import sys; from pcsr_zoo.devices import as_device; as_device('cpu'); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "cuda:-1", "meta", "xpu", [], 1.5])
def test_unknown_devices_are_named(device):
    with pytest.raises(OptionError) as error:
        as_device(device)
    assert f"'{device}'" in str(error.value)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3", "mps", torch.device("cuda", 1), 1])
def test_absent_devices_are_named(monkeypatch, device):
    without_gpus(monkeypatch)
    with pytest.raises(OptionError) as error:
        as_device(device)
    assert f"'{device}'" in str(error.value)


def test_devices_that_are_there(monkeypatch):
    without_gpus(monkeypatch, count=2, mps=True)
    for device in ("cuda", "cuda:0", "cuda:1", "mps"):
        assert as_device(device) == as_device(torch.device(device)) == device
    with pytest.raises(OptionError, match="'cuda:2'"):
        as_device("cuda:2")


def test_every_verb_checks_the_device(monkeypatch):
    without_gpus(monkeypatch)
    points = torch.rand(20, 3)
    for verb, model in ((pcsr_zoo.upsample, "midpoint"), (pcsr_zoo.sample, "random"), (pcsr_zoo.recover, "midpoint")):
        with pytest.raises(OptionError, match="'cuda'"):
            verb(points, 2, model=model, device="cuda")
        assert len(verb(points, 2, model=model, device="cpu")) in (10, 40)
    with pytest.raises(OptionError, match="'gpu'"):
        pcsr_zoo.load("midpoint", device="gpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_cuda_device():
    assert as_device("cuda") == "cuda"
    assert torch.zeros(1, device=as_device("cuda:0")).is_cuda
