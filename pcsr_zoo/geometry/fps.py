"""Farthest point sampling (Gonzalez 1985; Eldar et al. 1997) of arrays and tensors, see `fps_array`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import OptionError
from .fps_array import sample_array
from .kinds import is_tensor


def farthest_point_sample(
    points: Any,
    n: int,
    *,
    start: int | None = None,
    selected: Any | None = None,
    seed: int | None = None,
    weights: np.ndarray | None = None,
    ties: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> Any:
    """Indices (n,) of the farthest point sampling of `points`, in the order of the picks.

    Args:
        points: (N, 3) array or tensor; or a batch (B, N, 3) as a tensor, which gives (B, n).
        n: number of picks, 0 to N.
        start: index of the first pick; by default the point farthest from the centroid, which is invariant to the
            order of the points and to translation. With a `seed`, it is random.
        selected: (S, 3) points that are already picked and are not part of the result; for unbatched input only.
        seed: see `start`.
        weights: (N,) positive factors on the distances of the points: where they are twice as large, the spacing of the
            picks is about half as large. For unbatched arrays only.
        ties: (N,), a permutation of the indices: among equal distances, the point with the lowest number is picked. By
            default it is the one with the lowest index. For unbatched arrays only.
        distance: (N,), in place of `selected`, the distances to the nearest of the points that are already picked, if
            they are known. For unbatched arrays only.

    Returns:
        int64 indices, an array or tensor like `points`, without repetitions. Duplicates are picked last, lowest index
        first.

    Raises:
        OptionError: n is negative or larger than N, `start` is not an index, or the weights are invalid.
        CloudError: `points` has another shape, or a value that is NaN or infinite.
    """
    if is_tensor(points):
        if weights is not None or ties is not None or distance is not None:
            raise OptionError("farthest point sampling takes weights, ties and distances only for an array of points")
        from .fps_torch import sample_tensors

        return sample_tensors(points, n, start, selected, seed)
    return sample_array(points, n, start, selected, seed, weights, ties, distance)
