"""What the machine has: torch devices and memory."""

from __future__ import annotations

import os
from typing import Any

from .errors import OptionError


def as_device(device: Any = None) -> str:
    """The name of an available torch device; None is the CPU, for which torch is not imported.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps", a `torch.device`, or None.

    Raises:
        OptionError: the device is unknown or not available.
    """
    if device is None or str(device) == "cpu":
        return "cpu"
    import torch

    try:
        kind = torch.device(device)
    except (RuntimeError, TypeError):
        raise OptionError(f"unknown device '{device}'; use cpu, cuda, cuda:0, ... or mps") from None
    if kind.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (kind.index or 0) >= count:
            if count:
                last = f" to cuda:{count - 1}" if count > 1 else ""
                raise OptionError(f"device '{device}' does not exist; use cuda:0{last}, or cpu")
            raise OptionError(f"device '{device}': no CUDA device was found; use cpu")
    elif kind.type == "mps":
        if not torch.backends.mps.is_available():
            raise OptionError(f"device '{device}': no MPS device was found; use cpu")
    elif kind.type != "cpu":
        raise OptionError(f"device '{device}' is not supported; use cpu, cuda, cuda:0, ... or mps")
    return str(kind)


def check_memory(wanted: int, what: str, remedy: str) -> None:
    """Check an amount of memory, in bytes, before it is used.

    Raises:
        OptionError: it is more than the machine has.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        memory = 1 << 37
    if wanted > memory:
        raise OptionError(
            f"{what} would take {wanted // 10**9:,} GB of memory, more than {memory / 1e9:,.0f} GB; {remedy}"
        )
