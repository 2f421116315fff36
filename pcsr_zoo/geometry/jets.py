"""Jets: quadrics fitted to neighborhoods, z = f(x, y) of degree 2 over the tangent plane (Cazals and Pouget 2003).

The fit is weighted by distance and, in a few rounds, by residual: neighbors with large residuals (on the other side of
a crease, or on the opposite sheet of a thin part) lose their weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiled import kernels
from .frames import local_frames
from .kinds import namespace

# Tikhonov terms for the monomials 1, x, y, x^2, xy, y^2, in units of the neighborhood's radius. They matter only where
# the neighbors do not determine the quadric (fewer than six, or on a line).
_RIDGE = (1e-7, 1e-4, 1e-4, 1e-3, 1e-3, 1e-3)


@dataclass(frozen=True)
class Jets:
    """M fitted quadrics, in units of their neighborhoods' radii and relative to the points of the neighborhoods.

    Attributes:
        origin: (M, 3), the origins of the frames.
        axes: (M, 3, 3), columns normal, tangent, tangent.
        coefficients: (M, 6) of 1, x, y, x^2, xy, y^2.
        misfit: (M,), the root mean square residual of the first round, before residuals changed the weights.
        weights: (M, k), the weights of the neighbors in the last round.
    """

    origin: Any
    axes: Any
    coefficients: Any
    misfit: Any
    weights: Any

    def project(self, offsets: Any) -> Any:
        """Points (M, 3), each moved along the normal of its frame onto its quadric."""
        local = ((offsets - self.origin)[:, None] @ self.axes)[:, 0]
        height = (monomials(local[:, 1], local[:, 2]) * self.coefficients).sum(axis=1)
        return offsets + (height - local[:, 0])[:, None] * self.axes[:, :, 0]

    def normals(self, offsets: Any) -> Any:
        """Unit normals (M, 3) of the quadrics at points (M, 3), with the signs of the frames' normals."""
        import torch

        local = ((offsets - self.origin)[:, None] @ self.axes)[:, 0]
        x, y, c = local[:, 1], local[:, 2], self.coefficients
        dx = c[:, 1] + 2 * c[:, 3] * x + c[:, 4] * y
        dy = c[:, 2] + c[:, 4] * x + 2 * c[:, 5] * y
        normal = torch.stack([torch.ones_like(dx), -dx, -dy], dim=1)
        normal = normal / normal.norm(dim=1, keepdim=True)
        return (self.axes @ normal[:, :, None])[:, :, 0]


def monomials(x: Any, y: Any, dim: int = -1) -> Any:
    """1, x, y, x^2, xy, y^2, stacked along a new dimension of size 6."""
    xp = namespace(x)
    return xp.stack([xp.ones_like(x), x, y, x * x, x * y, y * y], dim)


def fit_jets(
    neighbors: Any, *, sharpness: float = 6.0, rounds: int = 2, tolerance: float = 0.1, compiled: bool = False
) -> Jets:
    """Fit a quadric to each of M neighborhoods.

    Args:
        neighbors: (M, k, 3) array or tensor, relative to the point of the neighborhood and in units of the distance to
            its farthest neighbor; k may be 1, and points may coincide.
        sharpness: the weight at distance d is exp(-sharpness d^2).
        rounds: number of rounds of reweighting by residuals; 0 is plain least squares.
        tolerance: a residual of this size, in the same unit, divides a weight by e.
        compiled: use compiled code for CPU tensors and arrays, if there is any.
    """
    xp = namespace(neighbors)
    fast = kernels(f"{__package__}.jet_kernels") if compiled and (xp is np or neighbors.device.type == "cpu") else None
    if fast is not None:
        m, k = neighbors.shape[:2]
        parts = [xp.empty(shape, dtype=neighbors.dtype) for shape in ((m, 3), (m, 3, 3), (m, 6), (m,), (m, k))]
        arrays = [np.asarray(part) for part in (neighbors, *parts)]  # they share memory
        fast.fit_jets(arrays[0], sharpness, rounds, tolerance, np.array(_RIDGE), *arrays[1:])
        return Jets(*parts)
    near = xp.exp(-sharpness * (neighbors * neighbors).sum(axis=2))
    ridge: Any = np.diag(_RIDGE) if xp is np else xp.diag(xp.tensor(_RIDGE, device=neighbors.device))
    ridge = ridge.astype(neighbors.dtype) if xp is np else ridge.to(neighbors.dtype)
    weights, misfit = near, None
    for left in range(rounds, -1, -1):
        origin, axes, _ = local_frames(neighbors, weights)  # in each round, so that outliers do not tilt the frame
        local = (neighbors - origin[:, None]) @ axes
        height, design = local[:, :, 0], monomials(local[:, :, 1], local[:, :, 2])
        share = weights / weights.sum(axis=1)[:, None]
        weighted = (design * share[:, :, None]).swapaxes(1, 2)
        coefficients = xp.linalg.solve(weighted @ design + ridge, weighted @ height[:, :, None])[:, :, 0]
        residual = height - (design @ coefficients[:, :, None])[:, :, 0]
        if misfit is None:
            misfit = xp.sqrt((share * residual * residual).sum(axis=1))
        if left:
            weights = near * (xp.exp(-((residual / tolerance) ** 2)) + 1e-4)
    return Jets(origin, axes, coefficients, misfit, weights)
