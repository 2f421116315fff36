"""Combine a user's frames of spinning LiDAR, and folders of them, into one training file of scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..datasets.scan_set import ScanImage, ScanSet, scan_info, write_scan_set
from ..errors import OptionError, PcsrError
from ..geometry.spinning.scan import Scan, find_scans
from .own_data import HELD_OUT, find_sources, make_folder, split, target_of


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
    target = target_of(sources, folder)
    if target.exists():
        return target
    report(f"making a training file from {len(sources.all())} file(s)")
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
    make_folder(folder)
    return write_scan_set(target, scans, split(shapes), {"seed": 0, "held_out": HELD_OUT})


def scan_image(scan: Scan) -> ScanImage:
    """The ranges of a scan at the middles of its columns."""
    _, inverse, found = scan.at_columns()
    return ScanImage(scan.elevations, np.where(found, 1 / inverse, 0.0).astype(np.float32), True)
