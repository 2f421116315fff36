"""Submaps of places: the loader of the Oxford RobotCar benchmark of PointNetVLAD, and streets in the same layout.

A folder has a folder for each run, with `pointcloud_20m_10overlap/TIMESTAMP.bin` (for training, a submap each 10 m),
`pointcloud_20m/TIMESTAMP.bin` (for tests, each 20 m), and for each a table `pointcloud_locations_20m_10overlap.csv` or
`pointcloud_locations_20m.csv` with the columns timestamp, northing, easting. A submap has 4,096 points as float64
numbers x, y, z, without the road, centered and scaled to about [-1, 1].
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import street

from pcsr_zoo.errors import FileError

POINTS = 4096
TRAIN, TEST = "20m_10overlap", "20m"
# Centers of the benchmark's test regions in Oxford, northing and easting, and half of their sides, in meters.
OXFORD = ((5735712.768124, 620084.402381), (5735611.299219, 620540.270327),
          (5735237.358209, 620543.094379), (5734749.303802, 619932.693364))  # fmt: skip
REGION = 150.0
# Of the 45 runs, sorted by name, those that are complete; only these are tested.
COMPLETE = (5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 24, 31, 32, 33, 38, 39, 43, 44)
RUNS = 45


@dataclass(frozen=True)
class Places:
    """Submaps of all runs.

    Attributes:
        files: B paths.
        run: (B,) numbers of the runs.
        where: (B, 2) northing and easting in meters.
        tested: (B,) whether a submap is in a test region.
    """

    files: list[Path]
    run: np.ndarray
    where: np.ndarray
    tested: np.ndarray

    def clouds(self, points: int = POINTS) -> np.ndarray:
        """Points (B, points, 3) float32; fewer than a file has are drawn at random."""
        return np.stack([read_submap(path, points) for path in self.files])


def read_submap(path: Path, points: int = POINTS) -> np.ndarray:
    """A submap (points, 3) float32.

    Raises:
        FileError: the file is missing, has not 4,096 points, or numbers that are not finite.
    """
    try:
        values = np.fromfile(path, np.float64)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}") from None
    if len(values) != 3 * POINTS:
        raise FileError(f"{path} has {len(values):,} float64 numbers; a submap has {POINTS:,} x 3")
    cloud = values.reshape(-1, 3)
    if not np.isfinite(cloud).all():
        raise FileError(f"{path} has numbers that are NaN or infinite")
    kept = slice(None) if points == POINTS else np.random.default_rng(0).permutation(POINTS)[:points]
    return cloud[kept].astype(np.float32)


def load_places(folder: str | Path, kind: str, regions: tuple[tuple[float, float], ...] = OXFORD) -> Places:
    """The submaps of all runs of a folder.

    Args:
        folder: the folder with a folder for each run.
        kind: `TRAIN` or `TEST`. Of the benchmark's 45 runs, only the complete ones are tested.
        regions: the centers of test regions.

    Raises:
        FileError: there is no run, or a table or a submap is missing or broken.
    """
    folder = Path(folder)
    tables = sorted(folder.glob(f"*/pointcloud_locations_{kind}.csv"))
    if not tables:
        raise FileError(f"{folder} has no run: no folder in it has pointcloud_locations_{kind}.csv")
    if kind == TEST and len(tables) == RUNS:
        tables = [tables[number] for number in COMPLETE]
    files, run, where = [], [], []
    for number, table in enumerate(tables):
        with open(table, newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        for line, row in enumerate(rows, 2):
            try:
                where.append((float(row["northing"]), float(row["easting"])))
                files.append(table.parent / f"pointcloud_{kind}" / f"{row['timestamp']}.bin")
            except (KeyError, TypeError, ValueError):
                raise FileError(f"{table}: line {line} has no timestamp, northing and easting") from None
            run.append(number)
    if missing := [path for path in files if not path.is_file()]:
        raise FileError(f"{missing[0]} is missing, and {len(missing) - 1} more")
    places = np.array(where).reshape(-1, 2)
    inside = np.abs(places[:, None] - np.array(regions)[None]) < REGION
    return Places(files, np.array(run), places, inside.all(axis=2).any(axis=1))


# -- simulated places


STREETS, APART = 16, 1000.0  # streets of 120 m, and meters between them
SHOTS = 450


def simulate(folder: str | Path, streets: int = STREETS, runs: int = 2, seed: int = 0) -> None:
    """Write runs through streets of `street.py` in the layout above.

    Houses, trees and lamps stay; parked cars, people, the noise, the lane and the exact stops differ in each run.
    """
    for run in range(runs):
        home = Path(folder) / f"run{run}"
        rows: dict[str, list[tuple[int, float, float]]] = {TRAIN: [], TEST: []}
        for number in range(streets):
            stays, changes = np.random.default_rng([seed, number]), np.random.default_rng([seed, number, run + 1])
            trees = [(x + stays.uniform(-4, 4), side * stays.uniform(5.3, 6.0))
                     for x in np.arange(-50, 51, 12.0) for side in (-1, 1) if stays.random() < 0.6]  # fmt: skip
            lamps = np.arange(-50, 51, stays.uniform(18, 30)).tolist()
            cars = [
                (x, side * 3.0 - 0.9) for x in np.arange(-55, 52, 6.0) for side in (-1, 1) if changes.random() < 0.3
            ]
            people = [(changes.uniform(-50, 50), changes.choice([-6.5, 6.5])) for _ in range(8)]
            scanner = street.Scanner(street.scene(1000 * seed + number, cars, trees, lamps, people), SHOTS)
            for stop, stands in enumerate(np.arange(-45.0, 46.0, 10.0)):
                x = stands + changes.uniform(-2, 2)
                cloud = submap(scanner, x, changes)
                stamp = 1_000_000 * (run + 1) + 1000 * number + stop
                for kind in (TRAIN, TEST):  # tests each 10 m, too: 1 % of the places of a run shall be more than one
                    (home / f"pointcloud_{kind}").mkdir(parents=True, exist_ok=True)
                    cloud.tofile(home / f"pointcloud_{kind}" / f"{stamp}.bin")
                    rows[kind].append((stamp, APART * number, x))
        for kind, lines in rows.items():
            with open(home / f"pointcloud_locations_{kind}.csv", "w", newline="", encoding="utf-8") as handle:
                csv.writer(handle).writerows([("timestamp", "northing", "easting"), *lines])


def submap(scanner: street.Scanner, x: float, rng: np.random.Generator, reach: float = 10.0) -> np.ndarray:
    """4,096 points (float64) of 20 m of the street, seen from five places, without road and pavement."""
    parts = []
    for ahead in np.linspace(-reach, reach, 5):
        sensor = street.SENSOR + np.array([x + ahead, rng.uniform(-1, 1), 0])
        positions, _, classes = scanner.turn(sensor, rng)
        parts.append(positions[(classes != 2) & (np.abs(positions[:, 0] - x) < reach)])
    points = np.concatenate(parts)
    points = points[rng.choice(len(points), POINTS, replace=len(points) < POINTS)] - [x, 0, 0]
    points -= points.mean(axis=0)
    return points / np.abs(points).max()
