"""Facts about a training for its checkpoint: data, licenses, versions."""

from __future__ import annotations

import contextlib
import platform
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

from .._version import __version__
from ..datasets.training_set import TrainingSet
from ..io.files import file_sha256


def file_facts(path: Path, data: TrainingSet) -> dict[str, Any]:
    """The training file's name, sha256, points of each shape, and numbers of shapes, also by license."""
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "points": int(data.about["points"]),
        "shapes": len(data.shapes),
        "held_out": sum(shape.held_out for shape in data.shapes),
        "licenses": dict(Counter(shape.license or "unknown" for shape in data.shapes).most_common()),
        "license_classes": dict(Counter(shape.license_class or "unknown" for shape in data.shapes).most_common()),
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that compute."""
    import lightning_fabric
    import numpy
    import torch

    found = {
        "pcsr-zoo": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning_fabric": str(lightning_fabric.__version__),
        "numpy": str(numpy.__version__),
    }
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["scipy"] = metadata.version("scipy")
    return found
