"""Tensors through the same names as arrays: the same answers, of the kind that was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo.geometry import thin_torch
from pcsr_zoo.geometry.thin import poisson_disk_thin, voxel_thin
from pcsr_zoo.geometry.transfer import transfer_attributes

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


def clouds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sphere = rng.normal(size=(3000, 3))
    return {
        "sphere": sphere / np.linalg.norm(sphere, axis=1, keepdims=True),
        "duplicates": np.repeat(rng.normal(size=(40, 3)), 7, axis=0),
        "line": np.outer(rng.random(200), [1.0, 2.0, 3.0]),
        "one": np.ones((1, 3)),
    }


@pytest.mark.parametrize("name", list(clouds()))
@pytest.mark.parametrize("radius", [0.0, 0.05, 0.3, 10.0])
def test_poisson_disks_are_those_of_the_array_code(name: str, radius: float, device: str) -> None:
    points = clouds()[name]
    kept = poisson_disk_thin(torch.from_numpy(points).to(device), radius, seed=3)
    assert kept.device.type == device
    np.testing.assert_array_equal(kept.cpu().numpy(), poisson_disk_thin(points, radius, seed=3))


def test_poisson_disks_in_many_blocks(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = clouds()["sphere"]
    monkeypatch.setattr(thin_torch, "_BLOCK", 10_000)
    kept = poisson_disk_thin(torch.from_numpy(points).to(device), 0.1)
    np.testing.assert_array_equal(kept.cpu().numpy(), poisson_disk_thin(points, 0.1))


@pytest.mark.parametrize("name", list(clouds()))
@pytest.mark.parametrize("size", [0.07, 0.5, 100.0])
def test_voxels_are_those_of_the_array_code(name: str, size: float, device: str) -> None:
    points = clouds()[name]
    kept = voxel_thin(torch.from_numpy(points).to(device), size).cpu().numpy()
    expected = voxel_thin(points, size)
    assert len(kept) == len(expected)
    np.testing.assert_allclose(points[kept], points[expected])  # among duplicates any index will do


def test_attributes_with_neighbors_found_by_torch(device: str) -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(500, 3)), rng.normal(size=(200, 3))
    target[:10] = source[:10]
    attributes = {
        "colors": rng.integers(0, 256, (500, 3)).astype(np.uint8),
        "labels": rng.integers(0, 9, 500),
        "height": source[:, 2].astype(np.float32),
    }
    got = transfer_attributes(torch.from_numpy(source).to(device), attributes, torch.from_numpy(target).to(device))
    expected = transfer_attributes(source, attributes, target)
    for name, values in expected.items():
        assert got[name].dtype == values.dtype
        np.testing.assert_allclose(got[name].astype(float), values.astype(float), atol=1 if name == "colors" else 1e-5)
