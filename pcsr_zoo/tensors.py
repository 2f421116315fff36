"""The weights of a network as the bytes of a safetensors file, and back. Never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import FileError, OptionError


def pack(network: Any) -> tuple[bytes, int]:
    """The network's state as safetensors, floats as float32; and how many parameters it has.

    Raises:
        OptionError: a weight is not finite.
    """
    import torch
    from safetensors.torch import save

    tensors = {}
    for key, value in network.state_dict().items():
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.to(torch.float32)
            if not value.isfinite().all():
                raise OptionError(f"the weights '{key}' are not finite, so nothing was saved; did training diverge?")
        tensors[key] = value.clone(memory_format=torch.contiguous_format)  # no two may share memory
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return save(tensors, metadata={"format": "pt"}), parameters  # one entry: their order is not fixed


def fill(network: Any, weights: bytes, path: Path) -> None:
    """The weights into the network, if they are exactly those that it has.

    Args:
        path: where the bytes are from, for messages.

    Raises:
        FileError: they are no safetensors file, or are not the network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError) as error:
        raise FileError(f"{path}: no safetensors file: {error}; get the checkpoint again") from error
    wanted = network.state_dict()
    faults = [f"no '{key}'" for key in wanted if key not in tensors]
    for key, value in tensors.items():
        if key not in wanted:
            faults.append(f"an unknown '{key}'")
        elif value.shape != wanted[key].shape:
            faults.append(f"'{key}' of shape {tuple(value.shape)} instead of {tuple(wanted[key].shape)}")
        elif value.is_floating_point() and not value.isfinite().all():
            faults.append(f"'{key}' that is not finite")
    if faults:
        more = f" and {len(faults) - 3} more faults" if len(faults) > 3 else ""
        raise FileError(
            f"{path} has {', '.join(faults[:3])}{more}: it does not fit the arguments in config.json; "
            "get or save the checkpoint again"
        )
    network.load_state_dict(tensors, strict=True)


def as_dtype(dtype: Any, cls: Any) -> Any:
    """The torch dtype of "float64" or `torch.float64`, if models of the class compute in it; None for None.

    Raises:
        OptionError: it is no such dtype.
    """
    if dtype is None:
        return None
    import torch

    name = str(dtype).removeprefix("torch.")
    if name not in cls.dtypes or not isinstance(getattr(torch, name, None), torch.dtype):
        raise OptionError(f"dtype: '{cls.name}' does not compute in {name}; it does in {' and '.join(cls.dtypes)}")
    return getattr(torch, name)
