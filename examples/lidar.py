"""Upsample a LiDAR frame with intensities and classes, measure it, draw it, and write it with its LAS header.

    python examples/lidar.py                                  # examples/data/street.laz -> runs/street_x4.laz and .png
    python examples/lidar.py frame.bin -x 2 -m jet -o runs/frame_x2.laz

LAS and LAZ files need the extra `las`. Other formats with intensities work, too: KITTI's .bin, PTS, PCD, PLY.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from pcsr_zoo import Cloud, read, upsample, write
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.geometry.knn import knn
from pcsr_zoo.pictures import render, save_image

HERE = Path(__file__).parent


def away(dense: Cloud, sparse: Cloud) -> np.ndarray:
    """The distance (N,) of each point from the nearest input point, computed near the origin for precision."""
    origin = sparse.positions.mean(axis=0)
    return knn(sparse.positions - origin, dense.positions - origin, 1)[0][:, 0]


def report(dense: Cloud, sparse: Cloud) -> str:
    """A report on the distances of the new points, and on their intensities and classes."""
    distance = away(dense, sparse)
    lines = [
        f"{len(sparse):,} -> {len(dense):,} points",
        f"distance to the nearest input point, in units of the file: median {np.median(distance):.3f}, "
        f"largest {distance.max():.3f}",
    ]
    if "intensity" in sparse.attributes:
        old, new = sparse.attributes["intensity"], dense.attributes["intensity"]
        lines.append(f"intensity ({old.dtype}): mean {old.mean():.1f} -> {new.mean():.1f}")
    if "labels" in sparse.attributes:
        old, new = sparse.attributes["labels"], dense.attributes["labels"]
        shares = (f"{k}: {np.mean(old == k):.0%} -> {np.mean(new == k):.0%}" for k in np.unique(old))
        lines.append(f"share of the points of each class: {', '.join(shares)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frame", nargs="?", type=Path, default=HERE / "data" / "street.laz")
    parser.add_argument("-x", "--ratio", type=float, default=4)
    parser.add_argument("-m", "--model", default="jetnet")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/street_x4.laz"))
    options = parser.parse_args(arguments)
    try:
        sparse = read(options.frame)
        dense = upsample(sparse, options.ratio, model=options.model)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write(dense, options.output, like=sparse)  # the header of the input: CRS, scales, point format
        color = "intensity" if "intensity" in sparse.attributes else None
        save_image(render([sparse, dense], color_by=color), options.output.with_suffix(".png"))
    except PcsrError as error:
        sys.exit(f"Error: {error}")
    print(report(dense, sparse))
    print(f"{options.output}, {options.output.with_suffix('.png')}")


if __name__ == "__main__":
    main()
