"""Estimation of a cloud's noise from its points."""

from __future__ import annotations

import numpy as np

from .compiled import pays
from .jets import fit_jets
from .knn import KNN

# Noise below this, in point spacings, counts as clean.
CLEAN = 0.08
_PROBES = 4096
_NEIGHBORS = 10
_TERMS = 6  # coefficients of a quadric
_LOW, _HIGH = 0.05, 0.25
# sqrt(q / 4) for the 5 % quantile q of a chi-square variable with 10 - 6 degrees of freedom
_CHI = 0.4215
# For Gaussian noise the ratio of the two quantiles is 0.61; geometry that quadrics do not fit makes it smaller.
_RATIO = 0.5
# Larger noise cannot be distinguished from two sheets whose distance is below the point spacing.
_LIMIT = 0.6


def estimate_noise(points: np.ndarray, tree: KNN | None = None) -> float:
    """The standard deviation of the noise across the surface, in units of the point spacing.

    Quadrics are fitted to the 10 nearest neighbors of up to 4096 of the points (N, 3). Noise is everywhere; geometry
    that quadrics do not fit is not. The estimate is therefore the 5 % quantile of the residuals, divided by its
    expectation for Gaussian noise. If the 25 % quantile is more than twice as large, the residuals are attributed to
    geometry, and the estimate is 0. The point spacing is the median distance to the sixth neighbor divided by
    sqrt(6 / pi). The estimate is also 0 for clouds of fewer than 48 points, and above 0.6.
    """
    if len(points) < 48:
        return 0.0
    tree = tree or KNN(points)
    probes = points[:: max(1, len(points) // _PROBES)]
    distance, index = tree.query(probes, _NEIGHBORS)
    radius = np.maximum(distance[:, -1:], 1e-12)
    near = (points[index] - probes[:, None]) / radius[:, :, None]
    misfit = fit_jets(near, sharpness=0.0, rounds=0, compiled=pays(len(points))).misfit
    spread = misfit * np.sqrt(_NEIGHBORS / (_NEIGHBORS - _TERMS)) * radius[:, 0]
    spacing = float(np.median(distance[:, 6])) / np.sqrt(6 / np.pi)
    low, high = np.quantile(spread, [_LOW, _HIGH])
    if spacing <= 0 or low < _RATIO * high:
        return 0.0
    noise = float(low) / _CHI / spacing
    return noise if noise < _LIMIT else 0.0
