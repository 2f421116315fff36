"""pcsr-zoo: point cloud sampling, recovery and upsampling.

Everything public is reached from here and imported on first use, so that `import pcsr_zoo` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .cloud import Cloud
    from .io import read, write
    from .pipelines.recovery import recover
    from .pipelines.resample import sample, upsample
    from .registry import list_models, load
    from .training.adapt import adapt

_WHERE = {
    "Cloud": "cloud",
    "adapt": "training.adapt",
    "list_models": "registry",
    "load": "registry",
    "read": "io",
    "recover": "pipelines.recovery",
    "sample": "pipelines.resample",
    "upsample": "pipelines.resample",
    "write": "io",
}

__all__ = ["Cloud", "__version__", "adapt", "list_models", "load", "read", "recover", "sample", "upsample", "write"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
