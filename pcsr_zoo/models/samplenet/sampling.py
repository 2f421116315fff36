"""What SampleNet's proposals are worth in use: distinct points of the cloud (Lang et al., CVPR 2020, sec. 3.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...geometry.fps import farthest_point_sample


def completed(points: np.ndarray, index: np.ndarray, count: int) -> NDArray[np.int64]:
    """`count` distinct indices into points (N, 3).

    Args:
        points: (N, 3) float64.
        index: indices of the points nearest to the proposals, any number of them, with duplicates.
        count: with more distinct ones, the farthest of these; with fewer, farthest points of the others beside them.
    """
    chosen = np.unique(index)
    if len(chosen) >= count:
        return chosen[farthest_point_sample(points[chosen], count)]
    others = np.delete(np.arange(len(points)), chosen)
    more = farthest_point_sample(points[others], count - len(chosen), selected=points[chosen])
    return np.concatenate([chosen, others[more]])
