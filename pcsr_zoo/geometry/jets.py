"""Jets: quadrics fitted to neighborhoods, z = f(x, y) of degree 2 over the tangent plane (Cazals and Pouget 2003).

The fit is weighted by distance and, in a few rounds, by residual: a neighbor that the quadric cannot explain (the
other side of a crease, the opposite sheet of a thin part) loses its say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .frames import local_frames

# Tikhonov terms for the monomials 1, x, y, x^2, xy, y^2, in units of the neighborhood's radius: they decide only
# where the neighbors do not (fewer than six, on a line).
_RIDGE = (1e-7, 1e-4, 1e-4, 1e-3, 1e-3, 1e-3)


@dataclass(frozen=True)
class Jets:
    """M fitted quadrics, in units of their neighborhoods' radius and relative to the points that they belong to.

    Attributes:
        origin: (M, 3) center of each frame.
        axes: (M, 3, 3), columns normal, tangent, tangent.
        coefficients: (M, 6) of 1, x, y, x^2, xy, y^2.
        misfit: (M,) root mean square residual before neighbors were doubted: what one quadric leaves unexplained.
        weights: (M, k) of the neighbors in the last round.
    """

    origin: Any
    axes: Any
    coefficients: Any
    misfit: Any
    weights: Any

    def project(self, offsets: Any) -> Any:
        """Each of M points (M, 3) moved along its frame's normal onto its quadric."""
        local = ((offsets - self.origin)[:, None] @ self.axes)[:, 0]
        height = (monomials(local[:, 1], local[:, 2]) * self.coefficients).sum(dim=1)
        return offsets + (height - local[:, 0])[:, None] * self.axes[:, :, 0]

    def normals(self, offsets: Any) -> Any:
        """Unit normals (M, 3) of the quadrics above M points (M, 3); the sign is that of the frame."""
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
    import torch

    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=dim)


def fit_jets(neighbors: Any, *, sharpness: float = 6.0, rounds: int = 2, tolerance: float = 0.1) -> Jets:
    """Fit one quadric to every neighborhood.

    Args:
        neighbors: (M, k, 3) tensor, relative to the point whose neighborhood it is and in units of the distance
            to its farthest neighbor; k may be 1 and points may coincide.
        sharpness: the weight at distance d is exp(-sharpness d^2).
        rounds: how often residuals reweight the fit; 0 is plain least squares.
        tolerance: a residual of this size (in the same unit) loses a factor e of its weight.
    """
    import torch

    near = torch.exp(-sharpness * (neighbors * neighbors).sum(dim=2))
    weights, misfit = near, None
    for left in range(rounds, -1, -1):
        origin, axes, _ = local_frames(neighbors, weights)  # anew: doubted neighbors must not tilt the frame
        local = (neighbors - origin[:, None]) @ axes
        height, design = local[:, :, 0], monomials(local[:, :, 1], local[:, :, 2])
        share = weights / weights.sum(dim=1, keepdim=True)
        weighted = design * share[:, :, None]
        ridge = torch.diag(torch.tensor(_RIDGE, dtype=design.dtype, device=design.device))
        coefficients = torch.linalg.solve(weighted.mT @ design + ridge, (weighted.mT @ height[:, :, None])[:, :, 0])
        residual = height - (design @ coefficients[:, :, None])[:, :, 0]
        if misfit is None:
            misfit = (share * residual * residual).sum(dim=1).sqrt()
        if left:
            weights = near * (torch.exp(-((residual / tolerance) ** 2)) + 1e-4)
    return Jets(origin, axes, coefficients, misfit, weights)
