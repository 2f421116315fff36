"""One-sided nearest-neighbor distances, from which Chamfer and Hausdorff distances are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io import open_cloud


def as_points(x: Any, name: str = "the cloud", min_points: int = 1) -> NDArray[np.float64]:
    """Positions (N, 3) in float64 of anything that `io.open_cloud` takes, such as a path.

    Raises:
        CloudError: fewer than `min_points` points, or a position that is not finite; the message names the
            row.
    """
    return open_cloud(x)[0].validate(name, min_points).positions


def nearest_distances(source: Any, target: Any) -> NDArray[np.float64]:
    """The Euclidean distance from each point of `source` (N, 3) to the nearest of `target` (M, 3): (N,).

    Exact, by a k-d tree on all cores; O((N + M) log M).

    Raises:
        CloudError: one of the two is empty or not finite.
    """
    from scipy.spatial import cKDTree

    source, target = as_points(source, "the first cloud"), as_points(target, "the second cloud")
    distances, _ = cKDTree(target).query(source, workers=-1)
    return np.asarray(distances, dtype=np.float64)
