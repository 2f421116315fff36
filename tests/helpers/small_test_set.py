"""Fixtures: a small folder in the layout of PU-GAN's test set, and stand-ins for the models."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo.catalog import resolve


def sphere_points(n, seed):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def write_off(path, mesh):
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    rows = [f"OFF\n{len(vertices)} {len(triangles)} 0"]
    rows += [" ".join(map(repr, map(float, v))) for v in vertices] + [f"3 {a} {b} {c}" for a, b, c in triangles]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Three shapes in the layout of the test set: ball and fandisk (a box) with a mesh, cloud without."""
    from pcsr_zoo._open3d import import_open3d

    o3d = import_open3d()
    geometry = o3d.geometry
    o3d.utility.random.seed(31_415)  # of no test: what they draw is to be independent of these ground truths
    folder = tmp_path_factory.mktemp("data")
    base = folder / "pugan"
    for name in ("input_2048", "gt_8192", "mesh"):
        (base / name).mkdir(parents=True)
    ball = geometry.TriangleMesh.create_sphere(1.0, 30)
    box = geometry.TriangleMesh.create_box(1, 1, 1)
    clouds = {
        "ball": np.asarray(ball.sample_points_uniformly(8192).points),
        "fandisk": np.asarray(box.sample_points_uniformly(8192).points),
        "cloud": sphere_points(8192, 0) * [1, 2, 3],
    }
    for seed, (name, gt) in enumerate(clouds.items()):
        np.savetxt(base / "gt_8192" / f"{name}.xyz", gt, fmt="%.6f")
        given = gt[np.random.default_rng(seed).permutation(8192)[:2048]]
        if name == "fandisk":
            given = given * 1.01  # off the frame, as the published one
        np.savetxt(base / "input_2048" / f"{name}.xyz", given, fmt="%.6f")
    write_off(base / "mesh" / "ball.off", ball)
    write_off(base / "mesh" / "fandisk.off", box)
    return folder


class StandIn:
    """A loaded model for the benchmark: it adds .01 to copies of the points, or takes the first ones.

    `shift` and `short` are upsamplers, and `short` gives a point less than it is asked for, of large clouds. Other
    names must mean a model, whose tasks and weights it shows.
    """

    def __init__(self, name, seen):
        self.name, self.seen = name, seen
        self.resolved = resolve("midpoint" if name in ("shift", "short") else name)
        self.tasks = self.resolved.tasks

    def upsample(self, points, *, n, seed, task="upsample"):
        self.seen.append((task, len(points), n, self.name, seed))
        return points[np.arange(n - (self.name == "short" and n > 1000)) % len(points)] + 0.01

    def recover(self, points, *, n, seed):
        return self.upsample(points, n=n, seed=seed, task="recover")

    def sample(self, points, *, n, seed):
        self.seen.append(("sample", len(points), n, self.name, seed))
        return points[:n]


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for the models of the benchmark; what they were called with."""
    seen = []
    monkeypatch.setattr("pcsr_zoo.benchmark.run.load", lambda name: StandIn(name, seen))
    return seen
