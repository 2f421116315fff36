"""What the network of `scan-net` sees: an image of the kept rings, and the hypotheses of each ray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...geometry.spinning.hypotheses import Hypotheses

Floats = NDArray[np.float64]
_SHARP = 50.0  # relative differences of 2 % count as large


def image_features(inverse: Floats, elevation: Floats, found: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(10, R, W) of images (R, W) of 1 / range, elevation (radians) and whether there is a point.

    Channels: whether there is a point; log range; its elevation; how far the rings below and above are; the relative
    differences of 1 / range to the pixels left, right, below and above; its height.
    """
    safe = np.where(found, inverse, 1.0)
    log = np.where(found, -np.log(safe), 0.0)
    height = np.where(found, np.arcsinh(np.sin(elevation) / safe), 0.0)
    gaps = np.diff(elevation, axis=0)
    edge = np.zeros((1, elevation.shape[1]))
    differences = [
        _difference(log, found, np.roll(log, shift, axis), np.roll(found, shift, axis), axis, shift)
        for axis, shift in ((1, 1), (1, -1), (0, 1), (0, -1))
    ]
    channels = [
        found,
        log / 3,
        2 * elevation,
        20 * np.concatenate([edge, gaps]),
        20 * np.concatenate([gaps, edge]),
        *differences,
        height,
    ]
    return np.stack([np.broadcast_to(channel, found.shape) for channel in channels]).astype(np.float32)


def _difference(
    log: Floats, found: NDArray[np.bool_], other: Floats, there: NDArray[np.bool_], axis: int, shift: int
) -> Floats:
    values = np.where(found & there, np.arcsinh(_SHARP * (other - log)), 0.0)
    if axis == 0:  # rings do not close
        values[0 if shift == 1 else -1] = 0.0
    return values


def ray_features(
    elevation: Floats, rings: Floats, guesses: Hypotheses, found: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(M, 21) of M rays: elevation, place between the rings, the rings' distance, which of the four neighbors exist,
    log range, its height, and the relative differences of the hypotheses to the first one that is possible."""
    log = -np.log(guesses.inverse)
    base = reference(log, guesses.possible)
    between = (elevation - rings[:, 1]) / np.maximum(rings[:, 2] - rings[:, 1], 1e-6)
    apart = np.where(guesses.possible, np.arcsinh(_SHARP * (log - base[:, None])), 0.0)
    lone = [
        2 * elevation, between, 20 * (rings[:, 2] - rings[:, 1]), between * (1 - between), base / 3,
        np.arcsinh(np.sin(elevation) * np.exp(np.clip(base, -9, 9))), np.exp(-base), guesses.possible.mean(axis=1),
    ]  # fmt: skip
    return np.concatenate([np.stack(lone, axis=1), found, apart], axis=1).astype(np.float32)


def reference(log: Floats, possible: NDArray[np.bool_]) -> Floats:
    """(M,): the log range of the first possible hypothesis; 0 where none is."""
    first = np.argmax(possible, axis=1)
    return np.where(possible.any(axis=1), log[np.arange(len(log)), first], 0.0)
