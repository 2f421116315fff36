"""Fixtures: a small folder in the layout of PU-GAN's test set, and a stand-in for the models."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from pcsr_zoo.errors import OptionError


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


@pytest.fixture
def calls(monkeypatch):
    """A stand-in for the public API: `upsample` and `recover` shift copies by .01, samplers take the first points."""
    seen = []

    def upsample(points, *, n, model, seed, task="upsample"):
        seen.append((task, len(points), n, model, seed))
        if model == "unknown":
            raise OptionError("unknown model 'unknown'")
        if model == "short" and n > 1000:
            n -= 1
        return points[np.arange(n) % len(points)] + 0.01

    def sample(points, *, n, model, seed):
        seen.append(("sample", len(points), n, model, seed))
        return points[:n]

    module = ModuleType("pcsr_zoo.pipelines.resample")
    module.upsample, module.sample = upsample, sample
    monkeypatch.setitem(sys.modules, "pcsr_zoo.pipelines.resample", module)
    module = ModuleType("pcsr_zoo.pipelines.recovery")
    module.recover = partial(upsample, task="recover")
    monkeypatch.setitem(sys.modules, "pcsr_zoo.pipelines.recovery", module)
    return seen
