"""pcsr-zoo: point cloud sampling, recovery and upsampling.

The public names are imported on first use, so that `import pcsr_zoo` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .catalog import list_models, model_info
    from .cloud import Cloud
    from .io import read, write, write_mesh
    from .loaded import LoadedModel
    from .pipelines.surface import reconstruct_surface
    from .zoo import load, recover, sample, upsample

_WHERE = {
    "Cloud": "io",  # which adds Cloud.read and Cloud.write
    "LoadedModel": "loaded",
    "list_models": "catalog",
    "load": "zoo",
    "model_info": "catalog",
    "read": "io",
    "reconstruct_surface": "pipelines.surface",
    "recover": "zoo",
    "sample": "zoo",
    "upsample": "zoo",
    "write": "io",
    "write_mesh": "io",
}

__all__ = [
    "Cloud",
    "LoadedModel",
    "__version__",
    "list_models",
    "load",
    "model_info",
    "read",
    "reconstruct_surface",
    "recover",
    "sample",
    "upsample",
    "write",
    "write_mesh",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
