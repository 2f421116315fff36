"""Withhold rings of a spinning LiDAR frame, predict them, and draw the kept rings, the prediction and the truth.

    python examples/spinning.py                          # simulates a street -> runs/spinning.png
    python examples/spinning.py frame.pcd --every 2 --center 10,-3,0 -o runs/frame.png

`--center` is the place that the picture looks at, in meters from the sensor, such as that of a car.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from pcsr_zoo import Cloud, load, read, upsample, write
from pcsr_zoo.datasets.generated.sensors import BEAMS, Sensor, cast
from pcsr_zoo.datasets.generated.streets import generate_street
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.geometry.spinning.scan import find_scans
from pcsr_zoo.pictures import render, save_image

SEED = 2026  # no training file has streets of this seed


def simulated_frame(seed: int = SEED, beams: str = "64", columns: int = 1024) -> Cloud:
    """One turn of a simulated sensor in a generated street, stored ring by ring, with the attribute `ring`."""
    rng = np.random.default_rng(seed)
    elevations = np.radians(BEAMS[beams])
    azimuth = (np.arange(columns) + 0.5) * 2 * np.pi / columns - np.pi
    ranges = cast(generate_street(seed, 1), Sensor(elevations), azimuth, rng).astype(np.float64)
    ring, column = np.nonzero(ranges)
    distance, turn, rise = ranges[ring, column], azimuth[column], elevations[ring]
    flat = distance * np.cos(rise)
    points = np.stack([flat * np.cos(turn), flat * np.sin(turn), distance * np.sin(rise)], axis=1)
    return Cloud(points, {"ring": ring.astype(np.uint8)}, {"position_dtype": "float32"})


def kept_rings(frame: Cloud, every: int) -> Cloud:
    """The points on every k-th ring, and the attribute `ring` that numbers these rings."""
    parts = []
    for scan in find_scans(frame):
        kept = scan.keep(np.arange(0, len(scan.elevations), every))
        part = frame[kept.rows]
        part.attributes["ring"] = kept.ring.astype(np.uint8)
        parts.append(part)
    return Cloud.concatenate(parts)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frame", nargs="?", type=Path, help="a frame in meters; by default one is simulated")
    parser.add_argument("--every", type=int, default=4, help="keep every k-th ring")
    parser.add_argument("-m", "--model", default="scan-net")
    parser.add_argument("--center", default="0,0,0")
    parser.add_argument("--radius", type=float, default=20.0, help="meters around the center that are drawn")
    parser.add_argument("--views", default="-60,40", help="azimuth,elevation in degrees; several with ;")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/spinning.png"))
    options = parser.parse_args(arguments)
    try:
        frame = read(options.frame) if options.frame else simulated_frame()
        few = kept_rings(frame, options.every)
        models = {"jetnet": "jetnet", options.model: options.model}
        dense = {name: upsample(few, n=max(len(few), len(frame)), model=load(name)) for name in models}
        center = np.array([float(value) for value in options.center.split(",")])

        def near(cloud: Cloud) -> Cloud:
            return Cloud(cloud.positions[np.linalg.norm(cloud.positions - center, axis=1) < options.radius])

        shown = {f"every {options.every}th ring": few, **dense, "all rings": frame}
        views = [tuple(float(value) for value in view.split(",")) for view in options.views.split(";")]
        picture = render(
            [near(cloud) for cloud in shown.values()],
            color_by="z",
            titles=list(shown),
            views=views,
            up="z",
            point_size=2.0,
        )
        options.output.parent.mkdir(parents=True, exist_ok=True)
        save_image(picture, options.output)
        write(dense[options.model], options.output.with_suffix(".ply"))
    except PcsrError as error:
        sys.exit(f"Error: {error}")
    for name, cloud in shown.items():
        print(f"{name}: {len(cloud):,} points")
    print(options.output)


if __name__ == "__main__":
    main()
