"""Compilation of inner loops by numba. Everything works without it, many times slower on large clouds."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .._version import __version__

LARGE = 6_000  # points from which on the import of numba (0.5 s) and of the machine code pays


@cache
def kernels(module: str = "pcsr_zoo.geometry.kernels") -> Any:
    """A module of compiled functions; None without numba, or if the environment variable PCSR_COMPILE is 0."""
    if os.environ.get("PCSR_COMPILE") == "0":
        return None
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def pays(size: int) -> bool:
    """Whether compiled functions pay for a cloud of so many points."""
    return size >= LARGE


def kernels_for(size: int, module: str = "pcsr_zoo.geometry.kernels") -> Any:
    """`kernels`, if they pay for a cloud of so many points; else None."""
    return kernels(module) if pays(size) else None


def is_loaded() -> bool:
    """Whether the compiled functions are loaded, so that they pay for small clouds, too."""
    return "pcsr_zoo.geometry.kernels" in sys.modules and kernels() is not None


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call. Machine code is kept in the user's cache, if it can be written."""
    return _compile(function, False)


def compiled_fused(function: Callable[..., Any]) -> Any:
    """The same, with fused multiply-adds, whose rounding differs between processors."""
    return _compile(function, {"contract", "nsz"})


def _compile(function: Callable[..., Any], fast: Any) -> Any:
    import numba

    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = before or str(_cache())
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fast)(function)
    except (RuntimeError, OSError):  # no folder can be written
        return numba.njit(nogil=True, error_model="numpy", fastmath=fast)(function)
    finally:
        config.CACHE_DIR = before


def _cache() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "pcsr-zoo" / f"numba-{__version__}"
