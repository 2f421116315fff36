"""How long reading and writing a million points takes, and how large the files are: the table of docs/files.md.

    python benchmarks/formats.py [POINTS]

Attributes: colors (uint8) and intensity (float32), where the format stores them; positions at UTM coordinates, except
for .bin. Seconds of the best of two runs, in files of a temporary folder.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pcsr_zoo import Cloud, read, write

NAMES = ("a.ply", "a.pcd", "a.las", "a.laz", "a.e57", "points3D.bin", "a.bin", "a.npy", "a.npz", "a.xyz", "a.csv")
NAMES += ("a.csv.gz",)


def seconds(work: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(2):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return float(best)


def main(count: int) -> None:
    logging.getLogger("pcsr_zoo").setLevel(logging.ERROR)
    rng = np.random.default_rng(0)
    points = np.round(rng.uniform(0, 100, (count, 3)), 3)
    colors = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    attributes = {"colors": colors, "intensity": rng.random(count, dtype=np.float32)}
    print(f"| {count:,} points | write, s | read, s | MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            path = Path(folder, name)
            cloud = Cloud(points if name == "a.bin" else points + np.array([5e5, 4e6, 0]), attributes)
            writing, reading = seconds(lambda c=cloud, p=path: write(c, p)), seconds(lambda p=path: read(p))
            print(f"| `{name}` | {writing:.1f} | {reading:.1f} | {path.stat().st_size / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
