"""Makes the sample data: `python examples/make_samples.py [-o DIR] [--overwrite] [--truth DIR]`.

Writes `sculpture.ply` (4096 points by farthest point sampling, colors and normals) and `street.laz` (one turn of a
simulated scanner, intensity and classes, UTM coordinates) to DIR, by default runs/samples. Both come from
formulas with fixed seeds: they are free of anybody's rights, and the exact surface of the sculpture is known.

The sculpture is that of examples/data, byte by byte. The street is not: the ray caster rounds differently on each kind
of processor, by up to a hundredth of a millimeter, and the header has the date. So no file is replaced without
`--overwrite`. With `--truth`, the exact surface goes to DIR as a mesh and as 16,384 points, to measure against (two
minutes):

    python examples/make_samples.py --truth runs/truth
    pcsr upsample examples/data/sculpture.ply -x 4 -o runs/sculpture-x4.ply
    pcsr evaluate runs/sculpture-x4.ply runs/truth/sculpture-16384.ply --mesh runs/truth/sculpture-mesh.ply
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import sculpture
import street
from isosurface import isosurface

from pcsr_zoo import Cloud, write
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.geometry.fps import farthest_point_sample


def sculpture_cloud(count: int, seed: int) -> Cloud:
    """`count` evenly spread points of the sculpture, thinned from twelve times as many random ones."""
    points = sculpture.surface_points(12 * count, np.random.default_rng(seed))
    points = points[farthest_point_sample(points, count)]
    attributes = {"normals": sculpture.normals(points).astype(np.float32), "colors": sculpture.colors(points)}
    return Cloud(points, attributes, {"position_dtype": "float32"})


def sculpture_mesh(step: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3), put exactly on the surface, and triangles (F, 3)."""
    low, high = np.array([-0.7203, -0.7203, -0.6203]), np.array([0.72, 0.72, 1.32])
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = np.concatenate([sculpture.distance(layer.reshape(-1, 3)) for layer in grid]).reshape(grid.shape[:3])
    vertices, triangles = isosurface(values, low, step)
    return sculpture.project(vertices), triangles


def street_cloud() -> Cloud:
    positions, intensity, classes = street.scan()
    return Cloud(positions, {"intensity": intensity, "labels": classes})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", default=Path("runs/samples"), help="output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="also write the sculpture's exact surface to DIR")
    options = parser.parse_args(arguments)
    sculpture_file, street_file = options.output / "sculpture.ply", options.output / "street.laz"
    truth = [options.truth / name for name in ("sculpture-16384.ply", "sculpture-mesh.ply")] if options.truth else []
    there = [path for path in (sculpture_file, street_file, *truth) if path.exists()]
    if there and not options.overwrite:
        sys.exit(f"Error: {there[0]} exists; name another folder (-o DIR), or replace it with --overwrite")
    options.output.mkdir(parents=True, exist_ok=True)
    write(sculpture_cloud(4096, seed=1), sculpture_file)
    write(street_cloud(), street_file)
    if truth:
        o3d = import_open3d()
        options.truth.mkdir(parents=True, exist_ok=True)
        write(sculpture_cloud(16_384, seed=2), truth[0])
        vertices, triangles = sculpture_mesh()
        mesh = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(triangles.astype(np.int32))
        )
        o3d.io.write_triangle_mesh(str(truth[1]), mesh)


if __name__ == "__main__":
    main()
