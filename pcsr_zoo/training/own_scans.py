"""Combine a user's frames of spinning LiDAR, and folders of them, into one training file of scans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..datasets.scan_set import ScanImage, ScanSet, scan_info, write_scan_set
from ..datasets.training_set import held_out_number
from ..errors import FileError, OptionError, PcsrError
from ..geometry.spinning.scan import Scan, find_scans
from ..io.files import file_sha256
from .own_data import HELD_OUT, find_sources


def scan_file(
    inputs: Sequence[str | Path], folder: Path, report: Callable[[str], None], without: Path | None = None
) -> Path:
    """Make a training file of scans. A single one is used as it is; a file that was made before is used again.

    Args:
        inputs: training files of scans; frames in meters; folders of these.
        folder: the folder of the new file; it is made if it does not exist.
        report: called with a line of text for each event.
        without: see `own_data.find_sources`.

    Raises:
        FileError: an input cannot be read, or a frame that the user names is no spinning scan.
        OptionError: there are no frames.
    """
    from ..io import read

    sources = find_sources(inputs, without)
    if sources.meshes:
        raise OptionError(f"{sources.meshes[0]} is a mesh; this model trains on frames of spinning LiDAR")
    if len(sources.training) == 1 and not sources.clouds:
        return sources.training[0]
    files = [[str(path), file_sha256(path)] for path in sources.all()]
    target = folder / f"{hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]}.npz"
    if target.exists():
        return target
    report(f"making a training file from {len(files)} file(s)")
    scans, shapes = [], []
    for path in sources.training:
        data = ScanSet.load(path)
        scans += data.scans
        shapes += data.shapes
    for path in sources.clouds:
        try:
            found = find_scans(read(path).validate(str(path)))
        except PcsrError as error:
            if path in sources.listed:
                raise type(error)(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
            report(f"left out {path}: {error}")
            continue
        for number, scan in enumerate(found):
            report(f"{path}: {scan.describe()}")
            scans.append(scan_image(scan))
            name = path.stem if len(found) == 1 else f"{path.stem}-{number}"
            shapes.append(scan_info(name, scans[-1].ranges.size, False, "unknown", "unknown", path.name))
    if not scans:
        raise OptionError("none of the files can be used for training; see the reasons above")
    if len(scans) > 1 and not any(shape.held_out for shape in shapes):
        order = sorted(range(len(shapes)), key=lambda k: held_out_number(shapes[k].name))
        held = set(order[: max(1, round(HELD_OUT * len(shapes)))])
        shapes = [replace(shape, held_out=k in held) for k, shape in enumerate(shapes)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: this folder cannot be made ({error.strerror}); give another") from None
    return write_scan_set(target, scans, shapes, {"seed": 0, "held_out": HELD_OUT})


def scan_image(scan: Scan) -> ScanImage:
    """The ranges of a scan at the middles of its columns."""
    _, inverse, found = scan.at_columns()
    return ScanImage(scan.elevations, np.where(found, 1 / inverse, 0.0).astype(np.float32), True)
