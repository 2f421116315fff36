"""The ring of each point of a spinning scan: from a field, from the order of the file, or from its elevations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FIELDS = ("ring", "laser_id", "laser", "channel", "beam", "ring_id", "laser_number")
TIMES = ("t", "time", "timestamp", "time_offset", "offset_ns", "time_stamp", "gps_time")
_LEAST_RINGS, _MOST_RINGS = 8, 256


def ring_field(attributes: Mapping[str, NDArray[np.generic]]) -> str | None:
    """The name of the attribute that has the rings: whole numbers, at least 8 and at most 256 different ones."""
    for name, values in attributes.items():
        if name.lower() in FIELDS and values.ndim == 1 and len(values):
            whole = values.astype(np.float64)
            fits = np.isfinite(whole).all() and (whole == np.rint(whole)).all()
            if fits and _LEAST_RINGS <= len(np.unique(whole)) <= _MOST_RINGS:
                return name
    return None


def phase_of(attributes: Mapping[str, NDArray[np.generic]], size: int) -> NDArray[np.float64]:
    """The time of each point (size,) within the scan, from -.5 to .5; zeros if no attribute has times."""
    for name, values in attributes.items():
        if name.lower() in TIMES and values.ndim == 1:
            times = values.astype(np.float64)
            low, high = times.min(), times.max()
            if np.isfinite(low) and np.isfinite(high) and high > low:
                return np.asarray((times - low) / (high - low) - 0.5)
    return np.zeros(size)


def rings_by_order(azimuth: NDArray[np.float64], elevation: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Rings (N,) of a file that stores one ring after another, each in order of azimuth, as KITTI's do; or None.

    Within a ring, azimuths go one way. A ring ends where they jump back: from the end of a turn, or of a cropped field
    of view, to its start. Parts of few points, which jitter at the start of a ring makes, join the part before them.
    """
    if len(azimuth) < 2:
        return None
    step = np.angle(np.exp(1j * np.diff(azimuth)))
    forward = 1.0 if np.median(step) > 0 else -1.0
    if np.mean(forward * step > -1e-3) < 0.9:  # no order of azimuths
        return None
    jitter = 0.5 * float(np.median(np.abs(step)))
    turned = np.mod(forward * (azimuth - azimuth[0]) + jitter, 2 * np.pi)
    width = np.quantile(turned, 0.99)
    ends = np.flatnonzero(np.diff(turned) < -max(0.2 * width, 0.02)) + 1
    starts = np.concatenate([[0], ends])
    sizes = np.diff(np.concatenate([starts, [len(azimuth)]]))
    starts = starts[(sizes >= max(4, 0.02 * np.median(sizes))) | (starts == 0)]
    labels = np.zeros(len(azimuth), np.int64)
    labels[starts[1:]] = 1
    labels = np.cumsum(labels)
    count = int(labels[-1]) + 1
    if not _LEAST_RINGS <= count <= _MOST_RINGS:
        return None
    middle = np.array([np.median(part) for part in np.split(elevation, starts[1:])])
    same = np.diff(middle)  # a spinning sensor's rings follow each other up or down
    return labels if max(np.mean(same > 0), np.mean(same < 0)) > 0.9 else None


def rings_by_elevation(elevation: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Rings (N,) as clusters of elevation, 0 for the lowest; -1 between clusters; or None if there are none.

    Clusters are peaks of a smoothed histogram whose valleys are almost empty.
    """
    low, high = np.quantile(elevation, [0.001, 0.999])
    width = 2e-4  # radians, .01 degrees
    if not np.isfinite(high - low) or high - low > np.pi or high - low < 50 * width:
        return None
    edges = np.arange(low - 20 * width, high + 20 * width, width)
    counts = np.histogram(elevation, edges)[0].astype(np.float64)
    for smooth in (12.0, 6.0, 3.0):
        density = smoothed(counts, smooth)
        peaks = highest_peaks(density, 0.05 * density.max(), int(2 * smooth))
        if not _LEAST_RINGS <= len(peaks) <= _MOST_RINGS:
            continue
        valleys = [a + int(np.argmin(density[a:b])) for a, b in itertools.pairwise(peaks)]
        depth = density[valleys] / np.minimum(density[peaks[:-1]], density[peaks[1:]])
        if np.median(depth) < 0.2:
            return np.searchsorted(edges[valleys], elevation).astype(np.int64)
    return None


def smoothed(values: np.ndarray, sigma: float) -> NDArray[np.float64]:
    """Values (N,) convolved with a Gaussian, reflected at the ends."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(values, reach, mode="symmetric"), weights / weights.sum(), mode="valid")


def highest_peaks(values: np.ndarray, height: float, distance: int) -> NDArray[np.int64]:
    """Ascending indices of local maxima of at least a height, the highest first, and none closer than a distance."""
    inner = values[1:-1]
    peaks = np.flatnonzero((inner > values[:-2]) & (inner >= values[2:]) & (inner >= height)) + 1
    kept = np.ones(len(peaks), bool)
    for one in np.argsort(-values[peaks], kind="stable"):
        if kept[one]:
            kept &= (np.abs(peaks - peaks[one]) >= distance) | (peaks == peaks[one])
    return peaks[kept]
