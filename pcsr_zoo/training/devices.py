"""Devices of a training: Lightning Fabric for the CPU, one GPU, or the processes of torchrun."""

from __future__ import annotations

import logging
import os
import platform
import warnings
from typing import Any

from ..devices import as_device
from ..errors import DependencyError, OptionError

_log = logging.getLogger("pcsr_zoo")


def make_fabric(device: str | None, precision: str) -> Any:
    """A launched `lightning_fabric.Fabric`.

    Under torchrun, all processes train together, each with its own GPU (nccl), or all on the CPU (gloo).

    Args:
        device: "cpu", "cuda", "cuda:1", "mps"; None for CUDA if there is a GPU for every process, otherwise the CPU.
        precision: "32", "bf16" or "16", see `Settings`; "16" becomes "bf16" on a CPU.

    Raises:
        OptionError: the device does not exist.
        DependencyError: Lightning Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
        from lightning_fabric.strategies import DDPStrategy
    except ImportError as error:
        raise DependencyError(
            f"training needs Lightning Fabric, which cannot be imported ({error}): pip install lightning-fabric"
        ) from error
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    several = TorchElasticEnvironment.detect()
    kind, index = _find(device, local if several else 1)
    if precision == "16" and kind == "cpu":
        _log.warning("precision 16 is not supported on CPUs; using bf16")
        precision = "bf16"
    plugins: list[Any] = [_mixed(precision, kind)] if precision != "32" else []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning_fabric")  # advice on unused devices
        if several:
            options: dict[str, Any] = {"devices": local, "num_nodes": max(1, world // local), "strategy": DDPStrategy()}
            plugins.append(TorchElasticEnvironment())
        else:
            options = {"devices": [index] if kind == "cuda" else 1}
            plugins.append(LightningEnvironment())  # ignore a cluster scheduler's environment
        fabric = Fabric(accelerator=kind, plugins=plugins, **options)
        fabric.launch()
    return fabric


def _find(device: str | None, processes: int) -> tuple[str, int]:
    """Type and index of the device. Each of `processes` on this machine needs its own."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return ("cuda", 0) if count >= processes else ("cpu", 0)
    wanted = torch.device(as_device(device))
    if wanted.type == "cuda" and count < processes:
        raise OptionError(f"device '{device}': {processes} process(es) need a GPU each, but torch finds {count}")
    return wanted.type, wanted.index or 0


def _mixed(precision: str, kind: str) -> Any:
    from lightning_fabric.plugins.precision import MixedPrecision

    return MixedPrecision("16-mixed" if precision == "16" else "bf16-mixed", device=kind)


def on_device(fabric: Any, network: Any) -> Any:
    """Move a network to Fabric's device. With mixed precision, wrap it so that its methods run under autocast.

    Inputs stay float32: Fabric's own wrapper would round positions to 16 bits first.
    """
    import torch

    network = fabric.to_device(network)
    precision = fabric.strategy.precision
    if not hasattr(precision, "scaler"):
        return network

    class Autocast(torch.nn.Module):
        """Runs every public method of the network under autocast, with float32 results."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self._run(self.network, args, kwargs)

        def _run(self, method: Any, args: Any, kwargs: Any) -> Any:
            with fabric.autocast():
                out = method(*args, **kwargs)
            return precision.convert_output(out)

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                found = getattr(self.network, name)
            if name.startswith("_") or not callable(found) or isinstance(found, torch.nn.Module):
                return found
            return lambda *args, **kwargs: self._run(found, args, kwargs)

    return Autocast()


def hardware(fabric: Any) -> str:
    """The hardware for the model card, such as "2 x NVIDIA H100" or "NAME OF A CPU, 8 cores"."""
    import torch

    if fabric.device.type == "cuda":
        name = torch.cuda.get_device_name(fabric.device)
    else:
        name = f"{_cpu_name()}, {os.cpu_count()} cores"
    return f"{fabric.world_size} x {name}" if fabric.world_size > 1 else name


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as handle:
            for line in handle:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"
