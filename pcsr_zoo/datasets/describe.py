"""The facts about a training file, of shapes or of scans."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from .scan_set import ScanSet
from .training_set import TrainingSet


def describe_training_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The facts for `pcsr info`: file, kind, format, shapes, train, held_out, points (of each), licenses, seed, bytes.

    Raises:
        FileError: the file cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        of_scans = "ranges.npy" in archive.namelist()
    data = ScanSet.load(path) if of_scans else TrainingSet.load(path)
    return {
        "file": str(path),
        "kind": "training file",
        "format": data.about["format"],
        "shapes": len(data),
        "train": len(data.train),
        "held_out": len(data.held_out),
        "points": int(data.about["points"]),
        "licenses": dict(Counter(shape.license or "unknown" for shape in data.shapes).most_common()),
        "seed": data.about.get("seed"),
        "bytes": Path(path).stat().st_size,
    }
