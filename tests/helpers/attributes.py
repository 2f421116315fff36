"""A cloud with every kind of attribute."""

from __future__ import annotations

import numpy as np

from pcsr_zoo import Cloud


def utm_cloud(n: int = 257, seed: int = 0) -> Cloud:
    """A cloud with every kind of attribute, at x ~ 5e5, y ~ 4e6; positions are multiples of 1e-6."""
    rng = np.random.default_rng(seed)
    positions = np.round(rng.random((n, 3)) * [100, 100, 20] + [5e5, 4e6, 120], 6)
    normals = rng.normal(size=(n, 3))
    return Cloud(
        positions,
        {
            "colors": rng.integers(0, 256, (n, 3)).astype(np.uint8),
            "normals": (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
            "intensity": rng.integers(0, 65536, n).astype(np.uint16),
            "labels": rng.integers(0, 20, n).astype(np.uint8),
            "gps_time": rng.random(n) * 1e9,
            "features": rng.normal(size=(n, 4)).astype(np.float32),
            "echo": rng.integers(-5, 5, n).astype(np.int16),
        },
    )
