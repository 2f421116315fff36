"""The named conventions of upsampling tables, which define the frame and the formula of each metric.

Published tables mix squared and plain, summed and halved distances in several normalized frames. Each convention here
has an id, which this package prints beside every number. Values are not multiplied by 1000, unlike in tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CloudError, OptionError
from .chamfer import chamfer_from_nearest
from .emd import earth_movers_distance
from .hausdorff import hausdorff_from_nearest
from .nearest import as_points, nearest_distances
from .point_to_surface import point_to_surface
from .surface import as_surface
from .uniformity import FRACTIONS, estimate_area
from .uniformity import uniformity as _uniformity


@dataclass(frozen=True)
class Convention:
    """How Chamfer and Hausdorff distance are computed.

    Attributes:
        id: the id that is printed beside every number.
        own_frames: prediction and ground truth are each centered at their own mean and divided by their own largest
            radius; otherwise, the mean and radius of the ground truth are used for both.
        squared: distances are squared.
        summed: the Hausdorff distance is the sum of the two one-sided maxima; otherwise, it is the larger one.
        halved_chamfer, halved_hausdorff: the value is halved.
        description: one line of documentation.
    """

    id: str
    own_frames: bool
    squared: bool
    summed: bool
    halved_chamfer: bool
    halved_hausdorff: bool
    description: str

    def normalize(
        self, prediction: NDArray[np.float64], ground_truth: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both clouds, (N, 3) and (M, 3), in the frame of the convention.

        Raises:
            CloudError: the cloud that defines a frame has radius 0 (one point, or all points equal).
        """
        center, radius = _frame(ground_truth, "the ground truth", self.id)
        normalized = (ground_truth - center) / radius
        if self.own_frames:
            center, radius = _frame(prediction, "the prediction", self.id)
        return (prediction - center) / radius, normalized


def _frame(points: NDArray[np.float64], name: str, convention: str) -> tuple[NDArray[np.float64], float]:
    """The mean (3,) of the points and the largest distance from it."""
    local = points - points[0]  # exact zeros if all points are equal, and full precision far from the origin
    if not local.any():
        raise CloudError(
            f"all points of {name} are equal, so it cannot be normalized by its radius (convention '{convention}')"
        )
    center = local.mean(axis=0)
    return points[0] + center, float(np.linalg.norm(local - center, axis=1).max())


CONVENTIONS: dict[str, Convention] = {
    convention.id: convention
    for convention in (
        Convention(
            "pugan-2019", True, True, True, False, False,
            "PU-GAN's evaluator: each cloud by its own mean and radius; CD adds the two means of squared "
            "distances, HD adds the two squared maxima",
        ),
        Convention(
            "half-2024", True, True, True, True, True,
            "as pugan-2019, CD and HD halved",
        ),
        Convention(
            "plain", False, False, False, True, False,
            "both clouds by the ground truth's mean and radius; CD is the mean distance of the two "
            "directions, HD the larger one-sided maximum, neither squared",
        ),
    )
}  # fmt: skip


def get_convention(convention: str | Convention) -> Convention:
    """The convention of an id.

    Raises:
        OptionError: the id is unknown; the message lists all ids.
    """
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        raise OptionError(f"unknown convention '{convention}'; choose from: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[convention]


def evaluate(
    prediction: Any,
    ground_truth: Any,
    mesh: Any = None,
    convention: str | Convention = "pugan-2019",
    *,
    emd: bool = False,
    uniformity: bool = False,
    per_point: bool = False,
) -> dict[str, Any]:
    """Compare a prediction (N, 3) with its ground truth (M, 3), and with the true surface if it is given.

    Args:
        prediction, ground_truth: clouds (`Cloud`, arrays, tensors, Open3D clouds or paths). Sizes may differ.
        mesh: the true surface in the frame of the clouds (see `point_to_surface`), or None.
        convention: an id of `CONVENTIONS`.
        emd: also compute the earth mover's distance (mean, not squared) in the convention's frame; needs N == M <=
            10,000.
        uniformity: also compute PU-GAN's uniformity of the prediction, by disk size. The area is that of the mesh, or
            is estimated from the ground truth.
        per_point: also return the distances of all points, to pool them over shapes.

    Returns:
        A dictionary with these keys; the last five are present if they were asked for.

        - `convention`: its id.
        - `cd`, `hd`: in the convention's frame; squared if the convention squares distances.
        - `p2f_mean`, `p2f_std`: mean and population standard deviation of the distances to the mesh, in the units and
          the frame of the input.
        - `emd`: in the convention's frame.
        - `uniformity`: {"0.4%": value, ...}.
        - `per_point`: {"forward": (N,) prediction to ground truth, "backward": (M,)}, both not squared and in the
          convention's frame, and with a mesh "p2f": (N,) in the units and the frame of the input.

    Raises:
        CloudError: a cloud is empty, not finite, or has only equal points; or the sizes do not fit `emd`.
        OptionError: the convention is unknown.
        FileError: a file cannot be read.
    """
    rules = get_convention(convention)
    raw = as_points(prediction, "the prediction")
    truth = as_points(ground_truth, "the ground truth")
    a, b = rules.normalize(raw, truth)
    forward, backward = nearest_distances(a, b), nearest_distances(b, a)
    result: dict[str, Any] = {
        "convention": rules.id,
        "cd": chamfer_from_nearest(forward, backward, squared=rules.squared, halved=rules.halved_chamfer),
        "hd": hausdorff_from_nearest(
            forward, backward, squared=rules.squared, summed=rules.summed, halved=rules.halved_hausdorff
        ),
    }
    arrays = {"forward": forward, "backward": backward}
    surface = None if mesh is None else as_surface(mesh)
    if surface is not None:
        arrays["p2f"] = point_to_surface(raw, surface)
        result["p2f_mean"], result["p2f_std"] = float(arrays["p2f"].mean()), float(arrays["p2f"].std())
    if emd:
        result["emd"] = earth_movers_distance(a, b)
    if uniformity:
        area = surface.area if surface is not None else estimate_area(truth)
        values = _uniformity(raw, area)
        result["uniformity"] = {f"{p:.1%}": float(v) for p, v in zip(FRACTIONS, values, strict=True)}
    if per_point:
        result["per_point"] = arrays
    return result


def table_row(
    prediction: Any, ground_truth: Any, mesh: Any, convention: str | Convention
) -> tuple[dict[str, float | None], NDArray[np.float64] | None]:
    """Compare as `evaluate` does, for a table: cd, hd, p2f and p2f_std times 1000 (p2f None without a mesh).

    Returns:
        The row, and the distance (N,) of each predicted point to the mesh, not times 1000, to pool them over shapes;
        None without a mesh.
    """
    found = evaluate(prediction, ground_truth, mesh, convention, per_point=True)
    keys = {"cd": "cd", "hd": "hd", "p2f": "p2f_mean", "p2f_std": "p2f_std"}
    return {name: 1e3 * found[key] if key in found else None for name, key in keys.items()}, found["per_point"].get(
        "p2f"
    )
