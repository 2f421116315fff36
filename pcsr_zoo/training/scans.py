"""Dense point clouds, such as a user's scans, as training shapes."""

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

FEWEST = 1024  # smallest number of points of a ground truth
_FEWEST_TO_CUT = 512  # smallest number of distinct points of a scan that is cut into regions
_SHARES = 5  # a region has at most 1 / _SHARES of the scan's points,
_REGION, _MOST_REGIONS = 4096, 48  # and at most _REGION points
_CANDIDATES = 8  # random points for each kept point
_NEIGHBORS = 18  # neighbors in the jet of a normal
_CHUNK = 16_384


def pack_scan(
    positions: np.ndarray, normals: np.ndarray | None, points: int, name: str, source: str, seed: int = 0
) -> PackedShape:
    """A dense cloud as a training shape, evenly thinned to `points`.

    Args:
        positions: (N, 3), finite, with at least `points` distinct points.
        normals: (N, 3) of any length, or None to estimate them by jets.
        points: the number of points of the shape.
        name, source: see `ShapeInfo`; the license is unknown.
        seed: seed of all random numbers.

    Raises:
        CloudError: there are too few distinct points.
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
    """Cut a single scan into shapes of equal size: overlapping training regions, and held-out regions apart from them.

    Args:
        positions: (N, 3), finite; duplicates are ignored.
        source: name of the file.
        seed: seed of the regions.

    Raises:
        CloudError: there are too few distinct points.
    """
    from sklearn.cluster import kmeans_plusplus

    positions = np.asarray(positions, np.float64)
    distinct = positions[first_occurrences(positions)]
    if len(distinct) < _FEWEST_TO_CUT:
        raise CloudError(
            f"{source} has {len(distinct)} distinct points; {_FEWEST_TO_CUT} are needed to train on one part of a scan "
            "and to validate on another"
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
    middles, _ = kmeans_plusplus(
        rest, min(_MOST_REGIONS, -(-2 * len(left) // size)), random_state=seed
    )  # evenly spread
    regions += list(left[KNN(rest).query(middles, size)[1]])
    return [
        replace(shape, info=replace(shape.info, held_out=k < count))
        for k, index in enumerate(regions)
        for shape in [pack_scan(distinct[index], None, size, f"region {k}", source, seed)]
    ]


def jet_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3) of quadrics fitted to the neighborhoods of distinct points (N, 3), of arbitrary sign."""
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
    """Area of the surface that even points (N, 3) cover: N pi r^2 / (k + 1/2), r the distance to the k-th neighbor.

    r^2 is the median over all points, which is not affected by the borders of an open scan.
    """
    distance, _ = KNN(points).query(points, k + 1)
    return float(len(points) * np.pi * np.median(distance[:, -1] ** 2) / (k + 0.5))


def _unit(vectors: np.ndarray) -> np.ndarray | None:
    """Normalized vectors, or None if some have length 0 or are not finite."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    good = np.isfinite(length).all() and (length > 1e-12).all()
    return vectors / length if good else None
