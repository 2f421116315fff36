"""Makes the sample data: `python examples/make_samples.py [--truth DIR]`.

Writes `data/sculpture.ply` (4096 points by farthest point sampling, colors and normals) and
`data/street.laz` (one turn of a simulated scanner, intensity and classes, UTM coordinates). Both come from
formulas with fixed seeds: they are free of anybody's rights, and the exact surface of the sculpture is known.
With `--truth`, that surface goes to DIR as a mesh and as 16,384 points, to measure against (two minutes):

    python examples/make_samples.py --truth runs/truth
    pcsr upsample examples/data/sculpture.ply -x 4 -o runs/sculpture-x4.ply
    pcsr evaluate runs/sculpture-x4.ply runs/truth/sculpture-16384.ply --mesh runs/truth/sculpture-mesh.ply
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import sculpture
import street
from isosurface import isosurface

from pcsr_zoo import Cloud, write
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.geometry.fps import farthest_point_sample

DATA = Path(__file__).parent / "data"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, metavar="DIR", help="also write the sculpture's exact surface to DIR")
    options = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    write(sculpture_cloud(4096, seed=1), DATA / "sculpture.ply")
    write(street_cloud(), DATA / "street.laz")
    if options.truth is not None:
        o3d = import_open3d()
        options.truth.mkdir(parents=True, exist_ok=True)
        write(sculpture_cloud(16_384, seed=2), options.truth / "sculpture-16384.ply")
        vertices, triangles = sculpture_mesh()
        mesh = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(triangles.astype(np.int32))
        )
        o3d.io.write_triangle_mesh(str(options.truth / "sculpture-mesh.ply"), mesh)


if __name__ == "__main__":
    main()
