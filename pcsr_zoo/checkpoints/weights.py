"""The weights of a network as the bytes of a safetensors file, and back. Never pickle."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError
from .config import AGAIN
from .untrusted_text import one_line, quoted

_HEADER = 1000  # bytes that a tensor may take in the header of a file: its name, dtype, shape and place


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

    wanted = network.state_dict()
    header = int.from_bytes(weights[:8], "little")
    if _HEADER * (len(wanted) + 16) < header <= len(weights):  # which would take minutes to read
        raise FileError(f"{path} has a header of {header:,} bytes for {len(wanted)} tensors; {AGAIN}")
    try:
        tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError) as error:
        raise FileError(f"{path}: no safetensors file: {one_line(str(error))}; {AGAIN}") from error
    faults = [f"no '{key}'" for key in wanted if key not in tensors]
    for key, value in sorted(tensors.items()):
        if key not in wanted:
            faults.append(f"an unknown {quoted(key)}")
        elif value.shape != wanted[key].shape:
            faults.append(f"'{key}' of shape {tuple(value.shape)} instead of {tuple(wanted[key].shape)}")
        elif value.dtype != (expected := _stored(wanted[key].dtype)):
            faults.append(f"'{key}' of {value.dtype} instead of {expected}")
        elif value.is_floating_point() and not value.isfinite().all():
            faults.append(f"'{key}' that is not finite")
    if faults:
        more = f" and {len(faults) - 3} more faults" if len(faults) > 3 else ""
        raise FileError(
            f"{path} has {', '.join(faults[:3])}{more}: it does not fit the arguments in config.json; "
            "get or save the checkpoint again"
        )
    network.load_state_dict(tensors, strict=True)


def _stored(dtype: Any) -> Any:
    """In which dtype `pack` puts down a tensor."""
    import torch

    return torch.float32 if dtype.is_floating_point else dtype


@contextlib.contextmanager
def no_larger_than(weights: bytes) -> Iterator[None]:
    """Networks that are made inside, in this thread, must not have many more parts than the weights could fill.

    The arguments of a checkpoint are a stranger's: a width of a thousand million is stopped before its memory is
    touched, a thousand million layers after the first few. What passes is still compared exactly, by `fill`.

    Raises:
        OptionError: one has.
    """
    from torch.nn.modules import module

    thread, room = threading.get_ident(), len(weights) // 2 + 10_000  # twice its float32, and what holds nothing

    def count(parts: int) -> None:
        nonlocal room
        if threading.get_ident() == thread:
            room -= parts
            if room < 0:
                raise OptionError("they make a network that is larger than the weights in the file")

    hooks = (
        module.register_module_module_registration_hook(lambda parent, name, child: count(1)),
        module.register_module_parameter_registration_hook(
            lambda parent, name, value: count(1 if value is None else value.numel())
        ),
        module.register_module_buffer_registration_hook(
            lambda parent, name, value: count(1 if value is None else value.numel())
        ),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


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
