"""Combine a user's training files, meshes, tables of meshes, scans, and folders of these into one training file."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..cloud import NORMALS
from ..datasets.build import POINTS, build
from ..datasets.meshes import MESH_SUFFIXES, check_not_test
from ..datasets.patches import even_subset
from ..datasets.quantize import pack_normals, pack_positions
from ..datasets.training_set import (
    PackedShape,
    ShapeInfo,
    TrainingSet,
    hold_out,
    is_training_file,
    with_infos,
    write_training_set,
)
from ..errors import FileError, OptionError, PcsrError
from ..io.files import file_sha256
from .scans import FEWEST, cut_scan, pack_scan

HELD_OUT = 0.1


@dataclass
class Sources:
    """Input files by type."""

    training: list[Path] = field(default_factory=list)
    meshes: list[Path] = field(default_factory=list)  # and tables of them
    clouds: list[Path] = field(default_factory=list)
    listed: set[Path] = field(default_factory=set)  # files that the user names, which must be readable

    def all(self) -> list[Path]:
        return [*self.training, *self.meshes, *self.clouds]


def training_file(
    inputs: Sequence[str | Path],
    folder: Path,
    report: Callable[[str], None],
    seed: int = 0,
    without: Path | None = None,
    scan: Path | None = None,
) -> Path:
    """Make a training file from `inputs`. A single training file is used as it is.

    The new file is in `folder`. Its name is a hash of the inputs' contents, so it is made only once.

    Args:
        inputs: training files; meshes, tables of meshes; point clouds, each of which becomes a shape; folders.
        folder: the folder of the new file; it is made if it does not exist.
        report: called with a line of text for each event.
        seed: seed of all random numbers.
        without: see `find_sources`.
        scan: a point cloud, the only input, whose regions become the shapes.

    Raises:
        FileError: an input cannot be read, or belongs to a test set.
        OptionError: there are no inputs, or none can be used.
    """
    sources = find_sources(inputs, without)
    if len(sources.training) == 1 and len(sources.all()) == 1:
        return sources.training[0]
    target = target_of(sources, folder, seed, scan is not None)
    if target.exists():
        return target
    report(f"making a training file from {len(sources.all())} file(s)")
    shapes, points = _regions(scan, report, seed) if scan is not None else _shapes(sources, report, seed)
    about = {"seed": seed, "points": points, "held_out": HELD_OUT}
    make_folder(folder)
    shapes = _unique(shapes)
    write_training_set(target, with_infos(shapes, split([shape.info for shape in shapes])), about)
    return target


def target_of(sources: Sources, folder: Path, *options: int) -> Path:
    """The training file in `folder` that is made of these sources. Its name is a hash of their contents."""
    files = [[str(path), file_sha256(path)] for path in sources.all()]
    key = hashlib.sha256(json.dumps([*options, *files]).encode())
    return folder / f"{key.hexdigest()[:12]}.npz"


def make_folder(folder: Path) -> None:
    """Make the folder of a training file.

    Raises:
        FileError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: this folder cannot be made ({error.strerror}); give another") from None


def find_sources(inputs: Sequence[str | Path], without: Path | None = None) -> Sources:
    """Sort input files, and the files of input folders, by type. In folders, results of `pcsr` are left out.

    Args:
        inputs: files and folders.
        without: a folder inside the inputs that is ignored: that of the results, where a resumed training would find
            its own training file.

    Raises:
        FileError: a path is missing, has an unknown type, or belongs to a test set; or a folder has no such files.
    """
    from ..io import READ_SUFFIXES, results_among

    out = Sources()
    if not inputs:
        raise OptionError("there are no data; give training files, meshes, scans, or folders of these")
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise FileError(f"{path}: no such file or folder")
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in READ_SUFFIXES and file.is_file())
            if without is not None:
                files = [file for file in files if without.resolve() not in file.resolve().parents]
            results = results_among(files)
            files = [file for file in files if file not in results]
            if not files:
                raise FileError(f"{path}: no meshes or point clouds in this folder ({', '.join(READ_SUFFIXES)})")
        else:
            files = [path]
            out.listed.add(path)
        for file in files:
            if file in out.all():
                continue
            check_not_test(file)
            kind = _kind(file)
            (out.training if kind == "training" else out.meshes if kind == "mesh" else out.clouds).append(file)
    return out


def single_scan(inputs: Sequence[str | Path], without: Path | None = None) -> Path | None:
    """The point cloud if it is the only file in `inputs`; otherwise None. See `find_sources`."""
    sources = find_sources(inputs, without)
    return sources.clouds[0] if len(sources.clouds) == len(sources.all()) == 1 else None


def _kind(path: Path) -> str:
    """The type of a file: "training", "mesh" (or a table of meshes) or "cloud"."""
    from ..io import read_mesh

    suffix = path.suffix.lower()
    try:
        if is_training_file(path):
            return "training"
        if suffix == ".csv":
            with open(path, newline="", encoding="utf-8", errors="replace") as handle:
                return "mesh" if "file" in next(csv.reader(handle), []) else "cloud"
    except (OSError, csv.Error, zipfile.BadZipFile):
        return "cloud"  # reading it as a cloud explains the error
    if suffix in (".stl", ".glb", ".gltf"):
        return "mesh"
    if suffix in MESH_SUFFIXES:
        try:
            read_mesh(path)
        except FileError:  # no faces, or broken, which reading it as a cloud reports
            return "cloud"
        return "mesh"
    return "cloud"


def _shapes(sources: Sources, report: Callable[[str], None], seed: int) -> tuple[list[PackedShape], int]:
    """All shapes and their common number of points: the smallest number among the inputs, at most 32,768."""
    from ..io import read

    files = [TrainingSet.load(path) for path in sources.training]
    clouds = []
    for path in sources.clouds:
        try:
            cloud = read(path).validate(str(path))
        except PcsrError as error:
            if path in sources.listed:
                raise
            report(f"left out: {error}")
            continue
        count = len(np.unique(cloud.positions, axis=0))
        if count < FEWEST:
            report(f"left out {path}: it has {count} distinct points, but {FEWEST} are needed")
            continue
        clouds.append((path, cloud, count))
    points = min([POINTS, *(int(data.about["points"]) for data in files), *(count for _, _, count in clouds)])
    shapes = [_repack(data, index, points, seed) for data in files for index in range(len(data))]
    if sources.meshes:
        with tempfile.TemporaryDirectory() as folder:
            made = build(sources.meshes, Path(folder, "meshes.npz"), points=points, seed=seed, held_out=0.0)
            data = TrainingSet.load(made.path)
        for name, reason in made.skipped.items():
            report(f"left out {name}: {reason}")
        shapes += [_repack(data, index, points, seed) for index in range(len(data))]
    for path, cloud, _ in clouds:
        normals = cloud.attributes.get(NORMALS)
        shapes.append(pack_scan(cloud.positions, normals, points, path.stem, path.name, seed))
        report(
            f"{path}: {len(cloud)} points, {points} kept; normals {'estimated' if normals is None else 'from the file'}"
        )
    if not shapes:
        raise OptionError("none of the files can be used for training; see the reasons above")
    return shapes, points


def _regions(scan: Path, report: Callable[[str], None], seed: int) -> tuple[list[PackedShape], int]:
    """The regions of a single scan as shapes, see `scans.cut_scan`."""
    from ..io import read

    shapes = cut_scan(read(scan).validate(str(scan)).positions, scan.name, seed)
    held, points = sum(shape.info.held_out for shape in shapes), len(shapes[0].coarse)
    report(f"{scan}: {len(shapes)} regions of {points} points, {held} held out")
    return shapes, points


def _repack(data: TrainingSet, index: int, points: int, seed: int) -> PackedShape:
    info = data.shapes[index]
    positions, normals = data.points(index), data.normals(index)
    if points < len(positions):
        rng = np.random.default_rng([seed, index])
        kept = even_subset(positions.astype(np.float64), points, info.area, rng)
        positions, normals = positions[kept], normals[kept]
    coarse, fine, box = pack_positions(positions.astype(np.float64))
    return PackedShape(info, coarse, fine, pack_normals(normals), box, data.frames[index])


def _unique(shapes: list[PackedShape]) -> list[PackedShape]:
    """Append a number to repeated names."""
    taken: set[str] = set()
    named = []
    for shape in shapes:
        name, number = shape.info.name, 2
        while name in taken:
            name, number = f"{shape.info.name}-{number}", number + 1
        taken.add(name)
        named.append(replace(shape, info=replace(shape.info, name=name)))
    return named


def split(shapes: list[ShapeInfo]) -> list[ShapeInfo]:
    """Hold out a tenth of the shapes, at least one of two, unless the training files among the inputs have a split."""
    if len(shapes) == 1 or any(shape.held_out for shape in shapes):
        return shapes
    return hold_out(shapes, max(1, round(HELD_OUT * len(shapes))))
