"""The types of `upsample`, `sample` and `recover`: a call returns the kind of point cloud that it was given.

The decorators change nothing at run time. They give type checkers one set of overloads for all of these calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from ..cloud import Cloud

    # Open3D has no types: its clouds are accepted, and count as Any.
    CloudLike: TypeAlias = Cloud | NDArray[Any] | torch.Tensor | Sequence[Sequence[float]] | str | PathLike[str]

Options = ParamSpec("Options")
Float = TypeVar("Float", bound=np.floating[Any])
Kept = TypeVar("Kept", bound="Cloud | torch.Tensor")


class SameKind(Protocol[Options]):
    """A function whose first argument is a point cloud."""

    @overload
    def __call__(self, x: str | PathLike[str], *args: Options.args, **kwargs: Options.kwargs) -> Cloud: ...
    @overload
    def __call__(self, x: Kept, *args: Options.args, **kwargs: Options.kwargs) -> Kept: ...
    @overload
    def __call__(self, x: NDArray[Float], *args: Options.args, **kwargs: Options.kwargs) -> NDArray[Float]: ...
    @overload
    def __call__(
        self, x: NDArray[np.integer[Any]] | Sequence[Sequence[float]], *args: Options.args, **kwargs: Options.kwargs
    ) -> NDArray[np.float64]: ...


class SameKindMethod(Protocol[Options]):
    """A method whose first argument after `self` is a point cloud."""

    def __get__(self, owner: Any, cls: type | None = None) -> SameKind[Options]: ...


def same_kind(function: Callable[Concatenate[Any, Options], Any]) -> SameKind[Options]:
    """The function itself, typed as `SameKind`."""
    return function  # type: ignore[return-value]


def same_kind_method(method: Callable[Concatenate[Any, Any, Options], Any]) -> SameKindMethod[Options]:
    """The method itself, typed as `SameKindMethod`."""
    return method  # type: ignore[return-value]
