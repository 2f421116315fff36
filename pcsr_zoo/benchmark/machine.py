"""Facts of the machine that times depend on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any


def machine_facts() -> dict[str, Any]:
    """Facts that times depend on: system, architecture, cores and versions, but no name of the machine."""
    versions = {}
    for package in ("numpy", "scipy", "torch", "open3d-cpu", "open3d"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }
