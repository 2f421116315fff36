"""Which device computes, checked once for every part of the package."""

from __future__ import annotations

from typing import Any

from .errors import OptionError


def as_device(device: Any = None) -> str:
    """A torch device that can be used here, as a string; None is the CPU, for which torch is not imported.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps", a `torch.device`, or None.

    Raises:
        OptionError: torch knows no such device, or this machine has none.
    """
    if device is None or str(device) == "cpu":
        return "cpu"
    import torch

    try:
        kind = torch.device(device)
    except (RuntimeError, TypeError):
        raise OptionError(f"device '{device}': unknown; use cpu, cuda, cuda:0, ... or mps") from None
    if kind.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (kind.index or 0) >= count:
            raise OptionError(
                f"device '{device}': torch finds {count or 'no'} CUDA device{'s' * (count != 1)}; use cpu"
            )
    elif kind.type == "mps":
        if not torch.backends.mps.is_available():
            raise OptionError(f"device '{device}': torch finds no such device; use cpu")
    elif kind.type != "cpu":
        raise OptionError(f"device '{device}': not supported; use cpu, cuda, cuda:0, ... or mps")
    return str(kind)
