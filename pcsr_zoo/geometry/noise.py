"""How noisy a cloud is, judged from the cloud alone."""

from __future__ import annotations

import numpy as np

from .jets import fit_jets
from .knn import KNN

# Below this, in point spacings, a cloud counts as clean.
CLEAN = 0.08
_PROBES = 4096
_NEIGHBORS = 10
_TERMS = 6  # coefficients of a quadric
_LOW, _HIGH = 0.05, 0.25
# sqrt(q / 4) for the 5 % quantile q of a chi-square variable with 10 - 6 degrees of freedom
_CHI = 0.4215
# For Gaussian noise the two quantiles are in the ratio .61; geometry that no quadric follows spreads them further.
_RATIO = 0.5
# Above this, noise cannot be told from two sheets that lie nearer to each other than their points.
_LIMIT = 0.6


def estimate_noise(points: np.ndarray, tree: KNN | None = None) -> float:
    """The standard deviation of the noise across the surface, in units of the point spacing.

    Quadrics are fitted to the 10 nearest of up to 4096 of (N, 3) points. Noise is everywhere, geometry that a quadric
    cannot follow is not: so the 5 % quantile of the residuals is taken, over its expectation for Gaussian noise; and
    where the 25 % quantile is more than twice as large, the residuals are judged to be geometry, and the cloud clean.
    The spacing is the median distance to the sixth neighbor over sqrt(6 / pi), the side of the square that a point
    has to itself. Clouds of fewer than 48 points, and those that read above 0.6, count as clean.
    """
    import torch

    if len(points) < 48:
        return 0.0
    tree = tree or KNN(points)
    probes = points[:: max(1, len(points) // _PROBES)]
    distance, index = tree.query(probes, _NEIGHBORS)
    radius = np.maximum(distance[:, -1:], 1e-12)
    near = torch.from_numpy((points[index] - probes[:, None]) / radius[:, :, None])
    misfit = fit_jets(near, sharpness=0.0, rounds=0).misfit.numpy()
    spread = misfit * np.sqrt(_NEIGHBORS / (_NEIGHBORS - _TERMS)) * radius[:, 0]
    spacing = float(np.median(distance[:, 6])) / np.sqrt(6 / np.pi)
    low, high = np.quantile(spread, [_LOW, _HIGH])
    if spacing <= 0 or low < _RATIO * high:
        return 0.0
    noise = float(low) / _CHI / spacing
    return noise if noise < _LIMIT else 0.0
