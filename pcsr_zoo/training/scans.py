"""A dense point cloud, such as a user's own scan, as a shape to train on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..datasets.training_set import PackedShape, pack_shape
from ..errors import CloudError
from ..geometry.distinct import first_occurrences
from ..geometry.frames import UnitFrame
from ..geometry.jets import fit_jets
from ..geometry.knn import KNN
from ..geometry.thin import poisson_disk_sample

FEWEST = 1024  # points that can be a ground truth
_FEWEST_TO_CUT = 512  # distinct points of a scan that regions are cut from
_SHARES = 5  # a region has at most so small a part of the scan,
_REGION, _MOST_REGIONS = 4096, 48  # ... and of a large one so many points
_CANDIDATES = 8  # random points for each one that is kept evenly
_NEIGHBORS = 18  # of a normal's jet
_CHUNK = 16_384


def pack_scan(
    positions: np.ndarray, normals: np.ndarray | None, points: int, name: str, source: str, seed: int = 0
) -> PackedShape:
    """The shape that a dense cloud shows, evenly thinned to `points`.

    Args:
        positions: (N, 3), finite; equal points count once, and at least `points` must be left.
        normals: (N, 3), or None to take those of jets; they need not have unit length.
        points: to the shape.
        name, source: see `ShapeInfo`; the license is unknown.

    Raises:
        CloudError: too few distinct points.
    """
    positions = np.asarray(positions, np.float64)
    distinct = first_occurrences(positions)
    if len(distinct) < points:
        raise CloudError(f"it has {len(distinct)} distinct points; {points} are needed")
    some = np.sort(np.random.default_rng(seed).permutation(distinct)[: _CANDIDATES * points])
    frame = UnitFrame.of(positions[some])
    unit = frame.to_unit(positions[some])
    chosen = poisson_disk_sample(unit, points, seed)
    kept = unit[chosen]
    directions = None if normals is None else _unit(np.asarray(normals, np.float64)[some[chosen]])
    return pack_shape(
        positions[some[chosen]],
        jet_normals(kept) if directions is None else directions,
        area=surface_area(kept) * frame.scale**2,
        name=name,
        license="unknown",
        license_class="unknown",
        source=source,
        vertices=len(positions),
        faces=0,
        normals="unoriented",
        held_out=False,
    )


def cut_scan(positions: np.ndarray, source: str, seed: int = 0) -> list[PackedShape]:
    """A single scan as shapes of equal size: overlapping regions to learn from, and others without any of their points.

    Args:
        positions: (N, 3), finite; equal points count once.
        source: the file.
        seed: of the regions.

    Raises:
        CloudError: too few distinct points.
    """
    from sklearn.cluster import kmeans_plusplus

    positions = np.asarray(positions, np.float64)
    distinct = positions[first_occurrences(positions)]
    if len(distinct) < _FEWEST_TO_CUT:
        raise CloudError(
            f"{source} has {len(distinct)} distinct points; {_FEWEST_TO_CUT} are needed to learn from a part of a scan "
            "and to judge by another"
        )
    points = UnitFrame.of(distinct).to_unit(distinct)
    rng = np.random.default_rng([seed, 31])
    size = min(_REGION, len(points) // _SHARES)
    tree, free = KNN(points), np.ones(len(points), bool)
    regions, held = [], max(1, round(len(points) / (10 * size)))
    for middle in rng.choice(len(points), min(held, _MOST_REGIONS // 8), replace=False):
        regions.append(tree.query(points[middle][None], size)[1][0])
        free[regions[-1]] = False
    count, left = len(regions), np.flatnonzero(free)
    rest = points[left]
    middles, _ = kmeans_plusplus(rest, min(_MOST_REGIONS, -(-2 * len(left) // size)), random_state=seed)  # well spread
    regions += list(left[KNN(rest).query(middles, size)[1]])
    return [
        replace(shape, info=replace(shape.info, held_out=k < count))
        for k, index in enumerate(regions)
        for shape in [pack_scan(distinct[index], None, size, f"region {k}", source, seed)]
    ]


def jet_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3) of the quadrics fitted to the neighborhoods of distinct points (N, 3); no sign is meant."""
    import torch

    tree = KNN(points)
    found = []
    for begin in range(0, len(points), _CHUNK):
        here = points[begin : begin + _CHUNK]
        distance, index = tree.query(here, _NEIGHBORS)
        offsets = (points[index] - here[:, None]) / distance[:, -1][:, None, None]
        jets = fit_jets(torch.from_numpy(offsets))
        found.append(jets.normals(torch.zeros(len(here), 3, dtype=torch.float64)).numpy())
    return np.concatenate(found)


def surface_area(points: np.ndarray, k: int = 12) -> float:
    """Area of the surface that even points (N, 3) cover: pi r^2 / (k + 1/2) a point, r to the k-th neighbor.

    The median point stands for all, or the borders of an open scan would count twice.
    """
    distance, _ = KNN(points).query(points, k + 1)
    return float(len(points) * np.pi * np.median(distance[:, -1] ** 2) / (k + 0.5))


def _unit(vectors: np.ndarray) -> np.ndarray | None:
    """Vectors of unit length, or None if some have no direction."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    good = np.isfinite(length).all() and (length > 1e-12).all()
    return vectors / length if good else None
