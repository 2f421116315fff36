"""Training files of spinning LiDAR scans: images of ranges over rings and columns."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError, OptionError
from ..io.files import readable_file
from .generated.sensors import BEAMS, Sensor, cast
from .generated.streets import generate_street
from .training_set import ShapeInfo, Split, is_held_out, write_arrays

FORMAT = "pcsr-scans-1"
_STEPS = 500.0  # ranges are stored in steps of 2 mm, up to 131 m
_TURN = (900, 1024, 1080, 1440, 1800, 2083)  # shots in a turn of common sensors
_WIDTH = 512  # columns that are kept of a generated scan


@dataclass(frozen=True)
class ScanImage:
    """A scan as an image.

    Attributes:
        elevations: (R,) of the rings, radians, ascending.
        ranges: (R, W), meters; 0 where nothing returned.
        turn: whether the columns close a full turn.
    """

    elevations: NDArray[np.float64]
    ranges: NDArray[np.float32]
    turn: bool


class ScanSet(Split):
    """The scans of a training file.

    Attributes:
        shapes: a `ShapeInfo` for each scan; `vertices` is its number of rays.
        about: the other facts of the file.
    """

    def __init__(self, scans: Sequence[ScanImage], shapes: Sequence[ShapeInfo], about: dict[str, Any]) -> None:
        super().__init__(shapes, about)
        self.scans = list(scans)

    def alike(self, index: int) -> list[int]:
        """The training scans with as many rings and columns as scan `index`."""
        return self._alike[self.scans[index].ranges.shape]

    @cached_property
    def _alike(self) -> dict[tuple[int, ...], list[int]]:
        found: dict[tuple[int, ...], list[int]] = {}
        for index in self.train or range(len(self)):
            found.setdefault(self.scans[index].ranges.shape, []).append(index)
        return found

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ScanSet:
        """Read a training file of scans.

        Raises:
            FileError: the file is missing, broken, or has no scans.
        """
        path = readable_file(path)
        if not zipfile.is_zipfile(path):
            raise FileError(f"{path} is no training file of scans; make one with pcsr data streets")
        try:
            with np.load(path, allow_pickle=False) as archive:
                if "ranges" not in archive.files or "about" not in archive.files:
                    raise FileError(f"{path} is no training file of scans; make one with pcsr data streets")
                ranges, elevations = archive["ranges"], archive["elevations"]
                about = json.loads(bytes(archive["about"]).decode())
            if about.get("format") != FORMAT:
                raise FileError(f"{path} has the format {about.get('format')}, not {FORMAT}; make it again")
            shapes = [ShapeInfo(**shape) for shape in about.pop("shapes")]
            scans, at, row = [], 0, 0
            for rings, columns, turn in about.pop("sizes"):
                image = ranges[at : at + rings * columns].reshape(rings, columns)
                scans.append(ScanImage(elevations[row : row + rings], (image / _STEPS).astype(np.float32), turn))
                at, row = at + rings * columns, row + rings
            if len(scans) != len(shapes) or at != len(ranges) or row != len(elevations):
                raise FileError(f"{path} is broken: its arrays do not fit its {len(shapes)} scans")
        except FileError:
            raise
        except Exception as error:  # zipfile, zlib, json and more
            raise FileError(f"{path} cannot be read as a training file of scans: {error}") from None
        return ScanSet(scans, shapes, about)


def write_scan_set(
    path: str | os.PathLike[str], scans: Sequence[ScanImage], shapes: Sequence[ShapeInfo], about: dict[str, Any]
) -> Path:
    """Write the file atomically.

    Raises:
        OptionError: there are no scans.
        FileError: the file cannot be written.
    """
    if not scans:
        raise OptionError("a training file needs at least one scan")
    sizes = [[*scan.ranges.shape, scan.turn] for scan in scans]
    ranges = np.concatenate([scan.ranges.ravel() for scan in scans])
    arrays = {
        "ranges": np.clip(np.rint(ranges * _STEPS), 0, 65535).astype(np.uint16),
        "elevations": np.concatenate([scan.elevations for scan in scans]),
    }
    return write_arrays(path, arrays, shapes, {"format": FORMAT, "points": 0, **about, "sizes": sizes})


def scan_info(name: str, rays: int, held_out: bool, license: str, license_class: str, source: str) -> ShapeInfo:
    """The facts about a scan, in the form of those of a shape."""
    return ShapeInfo(name, license, license_class, source, rays, 0, "unoriented", 0.0, held_out)


def build_streets(
    path: str | os.PathLike[str],
    count: int,
    seed: int = 0,
    held_out: float = 0.05,
    progress: Callable[[str, float], None] | None = None,
) -> ScanSet:
    """Write a training file of generated scenes, each seen by one of the sensors of `BEAMS`.

    Args:
        path: the file.
        count: number of scans.
        seed: seed of scenes, sensors and noise.
        held_out: the share of scans for validation.
        progress: called with a scan's name and the fraction that is done.

    Raises:
        OptionError: the count is not positive.
        FileError: the file cannot be written.
    """
    if count < 1:
        raise OptionError(f"the number of streets must be at least 1, got {count}")
    scans, shapes = [], []
    for index in range(count):
        name = f"street/{seed}-{index}"
        scan = generated_scan(seed, index)
        held = is_held_out(name, held_out)
        scans.append(scan)
        shapes.append(scan_info(name, scan.ranges.size, held, "Apache-2.0", "permissive", "generated"))
        if progress is not None:
            progress(name, (index + 1) / count)
    about = {"seed": seed, "held_out": held_out}
    write_scan_set(path, scans, shapes, about)
    return ScanSet(scans, shapes, about)


def generated_scan(seed: int, index: int) -> ScanImage:
    """A part of a turn in a generated scene, with random height, noise, loss and range of the sensor."""
    rng = np.random.default_rng([seed, index, 26])
    beams = list(BEAMS.values())[index % len(BEAMS)]
    elevations = np.sort(np.radians(beams) + rng.normal(0, 3e-4, len(beams)))
    elevations = elevations * rng.uniform(0.85, 1.15) + rng.normal(0, 0.02)
    columns = int(rng.choice(_TURN))
    vertices, triangles = generate_street(seed, index)
    vertices = vertices - [rng.uniform(-25, 25), rng.uniform(-1.5, 1.5), 0]
    sensor = Sensor(
        elevations,
        reach=rng.uniform(50, 125),
        noise=rng.uniform(0.003, 0.03),
        loss=rng.choice([0.0, 0.005, 0.02]),
        grazing=rng.uniform(0, 0.08),
        height=rng.uniform(1.2, 2.4),
    )
    azimuth = rng.uniform(-np.pi, np.pi) + np.arange(_WIDTH) * 2 * np.pi / columns
    return ScanImage(elevations, cast((vertices, triangles), sensor, azimuth, rng), False)
