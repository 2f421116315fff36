"""The training file: dense points and normals of many shapes, their provenance, and the split.

It is an .npz file without pickle:

    coarse   (S, N, 3) uint16   positions in the shape's box, upper 16 of 18 bits (`quantize`)
    fine     (S, N) uint8       their lower 2 bits
    normals  (S, N, 2) int8     octahedral unit normals
    boxes    (S, 2, 3) float64  lowest corner and size of each box, unit frame
    frames   (S, 4) float64     center and radius of the original shape, which define its unit frame
    about    (L,) uint8         JSON in UTF-8: {"format", "seed", "points", "held_out", "shapes": [one for each shape]}

In the unit frame the mean of the shape's points is the origin and the farthest point has the distance 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError, OptionError
from ..io.atomic import atomic_path
from ..io.files import readable_file
from .quantize import pack_normals, pack_positions, unpack_normals, unpack_positions

FORMAT = "pcsr-train-1"


@dataclass(frozen=True)
class ShapeInfo:
    """The facts about a shape in a training file.

    Attributes:
        name: the name, unique in the file.
        license, license_class, source: its provenance; "unknown" if it is not recorded.
        vertices, faces: numbers of vertices and faces of the mesh.
        normals: "outward", "consistent" (there are borders, so the outside is unknown) or "unoriented".
        area: area of the surface in the unit frame, in squared radii.
        held_out: whether the shape is used for validation instead of training.
    """

    name: str
    license: str
    license_class: str
    source: str
    vertices: int
    faces: int
    normals: str
    area: float
    held_out: bool


def is_held_out(name: str, fraction: float) -> bool:
    """Whether a shape of this name is held out for validation. It depends on the name only, by a hash."""
    return held_out_number(name) < fraction * 2.0**64


def held_out_number(name: str) -> int:
    """The first 64 bits of the sha256 of a shape's name: small numbers are held out first."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def hold_out(shapes: Sequence[ShapeInfo], count: int) -> list[ShapeInfo]:
    """The shapes with `count` of them held out: those with the smallest `held_out_number`."""
    chosen = sorted(range(len(shapes)), key=lambda index: held_out_number(shapes[index].name))[:count]
    return [replace(one, held_out=index in chosen) for index, one in enumerate(shapes)]


def is_training_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the arrays of a training file. Nothing else is checked."""
    if Path(path).suffix.lower() != ".npz" or not Path(path).is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return "about.npy" in names and bool({"coarse.npy", "ranges.npy"} & names)


class Split:
    """What all training files have: shapes, some of which are held out.

    Attributes:
        shapes: a `ShapeInfo` for each shape.
        about: the other facts of the file.
    """

    def __init__(self, shapes: Sequence[ShapeInfo], about: dict[str, Any]) -> None:
        self.shapes, self.about = list(shapes), dict(about)

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def train(self) -> list[int]:
        """Indices of the training shapes."""
        return [index for index, shape in enumerate(self.shapes) if not shape.held_out]

    @cached_property
    def held_out(self) -> list[int]:
        """Indices of the validation shapes."""
        return [index for index, shape in enumerate(self.shapes) if shape.held_out]


class TrainingSet(Split):
    """The shapes of a training file. They are unpacked on first use and cached (768 kB for 32,768 points).

    Attributes:
        shapes: a `ShapeInfo` for each shape.
        about: the other facts of the file (format, seed, points, held_out).
        frames: (S, 4), center and radius of each original shape.
    """

    def __init__(self, arrays: dict[str, np.ndarray], shapes: Sequence[ShapeInfo], about: dict[str, Any]) -> None:
        super().__init__(shapes, about)
        self._arrays = arrays
        self.frames: NDArray[np.float64] = arrays["frames"]
        self._points: dict[int, NDArray[np.float32]] = {}
        self._normals: dict[int, NDArray[np.float32]] = {}

    @staticmethod
    def load(path: str | os.PathLike[str]) -> TrainingSet:
        """Read a training file.

        Raises:
            FileError: the file is missing, broken, or not a training file.
        """
        path = readable_file(path)
        names = ("coarse", "fine", "normals", "boxes", "frames", "about")
        if not zipfile.is_zipfile(path):
            raise FileError(f"{path} is not a training file, or it is broken; make one with pcsr data build")
        try:
            with np.load(path, allow_pickle=False) as archive:
                missing = [name for name in names if name not in archive.files]
                if missing:
                    raise FileError(
                        f"{path} is not a training file: it has no array '{missing[0]}'; use pcsr data build"
                    )
                arrays = {name: archive[name] for name in names}
            about = json.loads(bytes(arrays.pop("about")).decode())
            if about.get("format") != FORMAT:
                raise FileError(f"{path} has the format {about.get('format')}, not {FORMAT}; build it again")
            shapes = [ShapeInfo(**shape) for shape in about.pop("shapes")]
        except FileError:
            raise
        except Exception as error:  # zipfile, zlib, json and more
            raise FileError(f"{path} cannot be read as a training file: {error}") from None
        if any(len(array) != len(shapes) for array in arrays.values()):
            raise FileError(f"{path} is broken: its arrays do not have one entry for each of its {len(shapes)} shapes")
        points, sizes = about.get("points"), {arrays[name].shape[1:2] for name in ("coarse", "fine", "normals")}
        if sizes != {(points,)}:
            raise FileError(f"{path} is broken: its arrays do not have {points} points for each shape")
        return TrainingSet(arrays, shapes, about)

    def points(self, index: int) -> NDArray[np.float32]:
        """Evenly spread points (N, 3) of a shape, in the unit frame."""
        if index not in self._points:
            arrays = self._arrays
            self._points[index] = unpack_positions(
                arrays["coarse"][index], arrays["fine"][index], arrays["boxes"][index]
            )
        return self._points[index]

    def normals(self, index: int) -> NDArray[np.float32]:
        """Unit normals (N, 3) of a shape; `shapes[index].normals` has their orientation."""
        if index not in self._normals:
            self._normals[index] = unpack_normals(self._arrays["normals"][index])
        return self._normals[index]


@dataclass
class PackedShape:
    """A shape in the form of the file's arrays."""

    info: ShapeInfo
    coarse: np.ndarray
    fine: np.ndarray
    normals: np.ndarray
    box: np.ndarray
    frame: np.ndarray


def with_infos(shapes: Sequence[PackedShape], infos: Sequence[ShapeInfo]) -> list[PackedShape]:
    """The shapes with other facts about them."""
    return [replace(shape, info=info) for shape, info in zip(shapes, infos, strict=True)]


def pack_shape(points: np.ndarray, directions: np.ndarray, area: float, **info: Any) -> PackedShape:
    """Convert a shape to the form of the file.

    Points (N, 3), unit normals `directions` (N, 3) and `area` are in the frame of the mesh; `info` has the other fields
    of `ShapeInfo`.
    """
    center = points.mean(axis=0)
    radius = float(np.linalg.norm(points - center, axis=1).max())
    coarse, fine, box = pack_positions((points - center) / radius)
    about = ShapeInfo(area=area / radius**2, **info)
    return PackedShape(about, coarse, fine, pack_normals(directions), box, np.array([*center, radius]))


def write_training_set(
    path: str | os.PathLike[str], shapes: Sequence[PackedShape], about: dict[str, Any], overwrite: bool = True
) -> Path:
    """Write the file atomically.

    Raises:
        OptionError: there are no shapes, or two have the same name.
        FileError: the file cannot be written.
    """
    names = [shape.info.name for shape in shapes]
    if not names:
        raise OptionError("a training file needs at least one shape")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"two shapes have the name '{twice}'")
    arrays = {
        "coarse": np.stack([shape.coarse for shape in shapes]),
        "fine": np.stack([shape.fine for shape in shapes]),
        "normals": np.stack([shape.normals for shape in shapes]),
        "boxes": np.stack([shape.box for shape in shapes]),
        "frames": np.stack([shape.frame for shape in shapes]),
    }
    return write_arrays(path, arrays, [shape.info for shape in shapes], {"format": FORMAT, **about}, overwrite)


def write_arrays(
    path: str | os.PathLike[str],
    arrays: dict[str, np.ndarray],
    shapes: Sequence[ShapeInfo],
    about: dict[str, Any],
    overwrite: bool = True,
) -> Path:
    """Write the arrays of a training file and, as JSON in the array `about`, the facts; atomically.

    Raises:
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    text = json.dumps({**about, "shapes": [asdict(shape) for shape in shapes]})
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays, about=np.frombuffer(text.encode(), np.uint8))  # type: ignore[arg-type]
    return Path(path)
