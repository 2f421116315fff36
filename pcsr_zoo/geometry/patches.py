"""Local patches: the neighborhood of every point in a canonical frame, with two fitted quadrics.

The frame is equivariant to rotation, translation and scale, so all results that are computed in it are, too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .compiled import pays
from .jets import Jets, fit_jets, monomials
from .knn import KNN

NEAR, WIDE = 10, 24  # numbers of neighbors of the two fits; a patch has the larger number
_FLAT = 1e-4  # curvatures, in units of the patch's radius, that are rounding
_NOISY = 0.18  # noise in point spacings above which the wide fit defines the frame


@dataclass(frozen=True)
class Patches:
    """N patches, torch tensors; lengths are in units of the patch's radius.

    Attributes:
        radius: (N, 1) distance to the tenth neighbor, in units of the cloud.
        frame: (N, 3, 3), columns normal, first and second tangent (of the principal curvatures, the larger first).
        offsets: (N, k, 3), the nearest points in the frame, nearest first; the first is the point itself.
        index: (N, k) int64, the indices of these points.
        near, wide: (N, 6) coefficients of the quadrics fitted to the 10 and to the 24 nearest points, each in its own
            axes: the normal of the fit, and tangents that are closest to those of the frame.
        near_origin, wide_origin: (N, 3), the origins of these axes, in the frame.
        near_axes, wide_axes: (N, 3, 3), the columns of these axes, in the frame.
        misfit: (N, 2), root mean square residuals of the two quadrics, see `Jets`.
        residuals: (N, k, 2) heights of the neighbors above the two quadrics.
        relief: (N, 1) root mean square height of the neighbors above the tangent plane; 0 on a plane.
    """

    radius: Any
    frame: Any
    offsets: Any
    index: Any
    near: Any
    near_origin: Any
    near_axes: Any
    wide: Any
    wide_origin: Any
    wide_axes: Any
    misfit: Any
    residuals: Any
    relief: Any

    def __len__(self) -> int:
        return len(self.radius)

    def to(self, device: Any) -> Patches:
        """The same patches on a torch device."""
        return Patches(*(getattr(self, f.name).to(device) for f in fields(self)))

    @staticmethod
    def cat(parts: list[Patches]) -> Patches:
        """Concatenate patches."""
        import torch

        return Patches(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Patches)))


def fit_patches(points: np.ndarray, tree: KNN | None = None, noise: float = 0.0, part: slice | None = None) -> Patches:
    """The patches of (N, 3) float64 points, or of a part of them.

    The noise (in point spacings, see `estimate_noise`) decides whether the robust near fit or the wide fit defines the
    frame. In clouds of fewer than 24 points, the last neighbor is repeated.
    """
    import torch

    tree = tree or KNN(points)
    center = points[part or slice(None)]
    distance, index = tree.query(center, WIDE)
    if index.shape[1] < WIDE:
        pad = WIDE - index.shape[1]
        index = np.concatenate([index, np.repeat(index[:, -1:], pad, axis=1)], axis=1)
        distance = np.concatenate([distance, np.repeat(distance[:, -1:], pad, axis=1)], axis=1)
    radius = np.maximum(distance[:, NEAR - 1 : NEAR], 1e-12)
    world = torch.from_numpy(((points[index] - center[:, None]) / radius[:, :, None]).astype(np.float32))
    reach = world[:, -1:].norm(dim=2, keepdim=True).clamp(min=1e-6)
    large = pays(len(points))
    robust: dict[str, Any] = {} if noise < _NOISY else {"sharpness": 2.0, "rounds": 0}
    near = fit_jets(world[:, :NEAR], **robust, compiled=large)
    wide = fit_jets(world / reach, sharpness=2.0, rounds=0, compiled=large)
    wide = Jets(
        wide.origin * reach[:, 0],
        wide.axes,
        wide.coefficients * reach[:, 0] ** (1 - torch.tensor([0, 1, 1, 2, 2, 2])),
        wide.misfit * reach[:, 0, 0],
        wide.weights,
    )
    frame = canonical_frames(near if noise < _NOISY else wide, world)
    near, wide = aligned(near, frame), aligned(wide, frame)
    residuals = torch.stack([height_above(jets, world) for jets in (near, wide)], dim=2)
    turn, offsets = frame.mT, world @ frame
    return Patches(
        radius=torch.from_numpy(radius.astype(np.float32)),
        frame=frame,
        offsets=offsets,
        relief=offsets[:, :, 0].square().mean(dim=1, keepdim=True).sqrt(),
        index=torch.from_numpy(index),
        near=near.coefficients,
        near_origin=(turn @ near.origin[:, :, None])[:, :, 0],
        near_axes=turn @ near.axes,
        wide=wide.coefficients,
        wide_origin=(turn @ wide.origin[:, :, None])[:, :, 0],
        wide_axes=turn @ wide.axes,
        misfit=torch.stack([near.misfit, wide.misfit], dim=1),
        residuals=residuals,
    )


def height_above(jets: Jets, offsets: Any) -> Any:
    """Heights (M, k) of points (M, k, 3) above the quadrics, along the normals of their axes."""
    local = (offsets - jets.origin[:, None]) @ jets.axes
    return local[:, :, 0] - (monomials(local[:, :, 1], local[:, :, 2]) @ jets.coefficients[:, :, None])[:, :, 0]


def aligned(jets: Jets, frame: Any) -> Jets:
    """The same quadrics in axes whose normals and tangents are aligned with those of the frames (M, 3, 3)."""
    import torch

    normal = jets.axes[:, :, 0]
    sign = torch.where((normal * frame[:, :, 0]).sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    normal = sign * normal
    first = frame[:, :, 1] - (frame[:, :, 1] * normal).sum(dim=1, keepdim=True) * normal
    first = first / first.norm(dim=1, keepdim=True).clamp(min=1e-6)
    axes = torch.stack([normal, first, torch.linalg.cross(normal, first)], dim=2)
    turn = jets.axes[:, :, 1:].mT @ axes[:, :, 1:]  # (M, 2, 2), from the new tangent coordinates to the old
    c = jets.coefficients
    slope = (turn.mT @ c[:, 1:3, None])[:, :, 0]
    form = torch.stack([c[:, 3], c[:, 4] / 2, c[:, 4] / 2, c[:, 5]], dim=1).reshape(-1, 2, 2)
    form = turn.mT @ form @ turn
    turned = torch.stack([c[:, 0], slope[:, 0], slope[:, 1], form[:, 0, 0], 2 * form[:, 0, 1], form[:, 1, 1]], dim=1)
    return Jets(jets.origin, axes, sign * turned, jets.misfit, jets.weights)


def canonical_frames(jets: Jets, offsets: Any) -> Any:
    """Right-handed canonical frames (M, 3, 3), columns normal and principal directions, defined by the surface.

    The first tangent is the direction of the principal curvature of larger absolute value, at the projection of the
    origin. The sign of the normal makes this curvature non-positive; the sign of the first tangent makes the third
    moment of the neighbors (M, k, 3) along it non-negative. Where the curvatures are equal, the first tangent is the
    direction of the neighbors' mean offset; on a plane, the sign of the normal makes the third moment along the second
    tangent non-negative.
    """
    import torch

    foot = -(jets.origin[:, None] @ jets.axes)[:, 0]
    c = jets.coefficients
    slope = torch.stack([c[:, 1] + 2 * c[:, 3] * foot[:, 1] + c[:, 4] * foot[:, 2],
                         c[:, 2] + c[:, 4] * foot[:, 1] + 2 * c[:, 5] * foot[:, 2]], dim=1)  # fmt: skip
    one = torch.ones_like(slope[:, :1])
    normal = torch.cat([one, -slope], dim=1)
    normal = normal / normal.norm(dim=1, keepdim=True)
    # the principal direction in the plane of the fit, moved into the tangent plane by Gram-Schmidt below
    a, b, d = 2 * c[:, 3], c[:, 4], 2 * c[:, 5]
    angle = 0.5 * torch.atan2(2 * b, a - d)
    mean, spread = (a + d) / 2, (((a - d) / 2) ** 2 + b * b).sqrt()
    angle = torch.where(mean >= 0, angle, angle + torch.pi / 2)  # of the curvature of larger absolute value
    larger = torch.where(mean >= 0, mean + spread, mean - spread)
    tangent = torch.stack([torch.zeros_like(angle), angle.cos(), angle.sin()], dim=1)
    normal = torch.where(larger[:, None] > 0, -normal, normal)
    normal, tangent = ((jets.axes @ part[:, :, None])[:, :, 0] for part in (normal, tangent))
    # Where the curvatures are equal, only rounding would decide. The neighbors' mean offset has a direction there.
    aside = (offsets * offsets.norm(dim=2, keepdim=True)).mean(dim=1)
    tangent = torch.where((spread < _FLAT)[:, None], aside, tangent)
    tangent = tangent - (tangent * normal).sum(dim=1, keepdim=True) * normal
    tangent = tangent / tangent.norm(dim=1, keepdim=True).clamp(min=1e-6)
    third = ((offsets @ tangent[:, :, None])[:, :, 0] ** 3).sum(dim=1, keepdim=True)
    tangent = torch.where(third < 0, -tangent, tangent)
    second = torch.linalg.cross(normal, tangent)
    across = ((offsets @ second[:, :, None])[:, :, 0] ** 3).sum(dim=1, keepdim=True)
    turned = ((larger.abs() < _FLAT)[:, None]) & (across < 0)  # on a plane, the normal has no sign of its own
    return torch.stack([torch.where(turned, -normal, normal), tangent, torch.where(turned, -second, second)], dim=2)
