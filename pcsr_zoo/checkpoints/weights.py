"""Weights of a network as the bytes of a safetensors file, and back. Pickle is never used."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError
from .config import AGAIN
from .untrusted_text import one_line, quoted

_HEADER = 1000  # bytes of the file header that a tensor may use for its name, dtype, shape and offsets


def pack(network: Any) -> tuple[bytes, int]:
    """Serialize the network's state.

    Returns:
        The safetensors bytes, with floats as float32, and the number of parameters.

    Raises:
        OptionError: a weight is NaN or infinite.
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
        tensors[key] = value.clone(memory_format=torch.contiguous_format)  # safetensors refuses shared memory
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return save(tensors, metadata={"format": "pt"}), parameters  # a single entry: the order of several is not fixed


def fill(network: Any, weights: bytes, path: Path) -> None:
    """Load weights into a network. Names, shapes and dtypes must match exactly.

    Args:
        network: a `torch.nn.Module`.
        weights: bytes of a safetensors file.
        path: the file of the bytes, for messages.

    Raises:
        FileError: the bytes are not a safetensors file, or do not match the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    wanted = network.state_dict()
    header = int.from_bytes(weights[:8], "little")
    if _HEADER * (len(wanted) + 16) < header <= len(weights):  # parsing it would take minutes
        raise FileError(f"{path} has a header of {header:,} bytes for {len(wanted)} tensors; {AGAIN}")
    try:
        tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError) as error:
        raise FileError(f"{path} is not a safetensors file: {one_line(str(error))}; {AGAIN}") from error
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
    """The dtype in which `pack` stores a tensor of this dtype."""
    import torch

    return torch.float32 if dtype.is_floating_point else dtype


@contextlib.contextmanager
def no_larger_than(weights: bytes) -> Iterator[None]:
    """A context that limits the size of the networks that this thread makes inside it to about that of the weights.

    The arguments of a checkpoint are untrusted: a width of 10^9 is stopped before its memory is used, 10^9 layers
    after the first few. `fill` compares the sizes exactly afterwards.

    Raises:
        OptionError: a network is larger.
    """
    from torch.nn.modules import module

    thread, room = threading.get_ident(), len(weights) // 2 + 10_000  # twice the float32 values, plus empty modules

    def count(parts: int) -> None:
        nonlocal room
        if threading.get_ident() == thread:
            room -= parts
            if room < 0:
                raise OptionError("the network would be larger than the weights in the file")

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
    """The torch dtype of a name such as "float64" or of a torch dtype; None for None.

    Raises:
        OptionError: models of the class do not compute in this dtype.
    """
    if dtype is None:
        return None
    import torch

    name = str(dtype).removeprefix("torch.")
    if name not in cls.dtypes or not isinstance(getattr(torch, name, None), torch.dtype):
        raise OptionError(f"dtype: '{cls.name}' does not compute in {name}; use {' or '.join(cls.dtypes)}")
    return getattr(torch, name)
