"""How noisy a cloud is, judged from the cloud alone."""

from __future__ import annotations

import numpy as np

from .jets import fit_jets
from .knn import KNN

_PROBES = 4096
_NEIGHBOURS = 24
_TERMS = 6  # coefficients of a quadric


def estimate_noise(points: np.ndarray, tree: KNN | None = None) -> float:
    """The standard deviation of the noise across the surface, in units of the point spacing.

    Quadrics are fitted to 24 neighbours of up to 4096 of (N, 3) points; what they leave, corrected for their six
    coefficients, is noise where the surface is smooth. The lower quartile over the points is taken, since creases
    and thin parts only ever add to it. The spacing is the median distance to the sixth neighbour over sqrt(6 / pi),
    the side of the square that a point has to itself. Clouds of fewer than 48 points count as clean.
    """
    import torch

    if len(points) < 2 * _NEIGHBOURS:
        return 0.0
    tree = tree or KNN(points)
    probes = points[:: max(1, len(points) // _PROBES)]
    distance, index = tree.query(probes, _NEIGHBOURS)
    radius = np.maximum(distance[:, -1:], 1e-12)
    near = torch.from_numpy((points[index] - probes[:, None]) / radius[:, :, None])
    jets = fit_jets(near, sharpness=0.0, rounds=0)
    spread = jets.misfit.numpy() * np.sqrt(_NEIGHBOURS / (_NEIGHBOURS - _TERMS)) * radius[:, 0]
    spacing = float(np.median(distance[:, 6])) / np.sqrt(6 / np.pi)
    return float(np.quantile(spread, 0.25)) / spacing if spacing > 0 else 0.0
