"""Distances in the unit of the files, without normalization, as surveys report them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nearest import as_points, nearest_distances
from .point_to_surface import height_above, point_to_surface

Floats = NDArray[np.float64]


def distances_in_units(found: Any, truth: Any = None, mesh: Any = None) -> dict[str, dict[str, float]]:
    """Statistics of distances between clouds, and to a mesh, in their own unit.

    Args:
        found: a cloud (N, 3), or a path.
        truth: the cloud (M, 3) that it is compared with, or None.
        mesh: the true surface, as `point_to_surface` takes it, or None.

    Returns:
        "to_truth": from each point of `found` to the nearest one of `truth`; "from_truth": the reverse; "to_mesh":
        from each point of `found` to the surface; "vertical": heights of `found` above the truth, if there are any: at
        the same x and y, on the triangulated irregular network of `truth`, or on `mesh`. Each is a dictionary of
        points (their number), mean, rmse (the root of the mean square), p95 (the 95th percentile), and largest. Those
        of heights are of absolute values, with bias, the mean of the signed ones, in addition.

    Raises:
        CloudError: a cloud is empty or not finite.
        FileError: a file cannot be read.
    """
    points = as_points(found, "the first cloud")
    result: dict[str, dict[str, float]] = {}
    heights = np.empty(0)
    if truth is not None:
        others = as_points(truth, "the second cloud")
        result["to_truth"] = statistics(nearest_distances(points, others))
        result["from_truth"] = statistics(nearest_distances(others, points))
        heights = heights_above_cloud(points, others)
    if mesh is not None:
        result["to_mesh"] = statistics(point_to_surface(points, mesh))
        heights = height_above(points, mesh)
    heights = heights[np.isfinite(heights)]
    if len(heights):
        result["vertical"] = {**statistics(np.abs(heights)), "bias": float(heights.mean())}
    return result


def statistics(distances: Floats) -> dict[str, float]:
    """Number, mean, root of the mean square, 95th percentile and largest of distances (N,), N at least 1."""
    return {
        "points": len(distances),
        "mean": float(distances.mean()),
        "rmse": float(np.sqrt((distances**2).mean())),
        "p95": float(np.quantile(distances, 0.95)),
        "largest": float(distances.max()),
    }


def heights_above_cloud(points: Floats, others: Floats) -> Floats:
    """Heights (N,) of points above the triangulated irregular network of others (M, 3); NaN outside of it.

    The network is the Delaunay triangulation of x and y. It is the usual reference where clouds are terrain; of walls
    and roofs it knows the upper end only by chance.
    """
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    center = others.mean(axis=0)
    flat = others - center
    try:
        network = LinearNDInterpolator(Delaunay(flat[:, :2]), flat[:, 2])
    except (QhullError, ValueError):  # fewer than three points, or all on a line
        return np.full(len(points), np.nan)
    moved = points - center
    return np.asarray(moved[:, 2] - network(moved[:, :2]), dtype=np.float64)
