"""Upsampling of spinning LiDAR: exact counts, measured points unchanged, new points on the surface, attributes."""

from __future__ import annotations

import numpy as np
import pytest
from scans import ELEVATIONS, room, room_range

import pcsr_zoo
from pcsr_zoo import Cloud
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.models.scan_lines.model import ScanLines
from pcsr_zoo.zoo import suited


def off(points, origin=(0, 0, 0)):
    """Relative error of range of points against the room."""
    x, y, z = (points - origin).T
    azimuth, elevation = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    return np.linalg.norm(points - origin, axis=1) / room_range(azimuth, elevation) - 1


@pytest.mark.parametrize("ratio", [1, 1.3, 2, 4, 8])
def test_exact_count_and_measured_points_unchanged(ratio):
    cloud, _ = room(shuffle=3)
    dense = pcsr_zoo.upsample(cloud, ratio, model="scan-lines")
    assert len(dense) == round(ratio * len(cloud))
    n = len(cloud)
    assert (dense.positions[:n] == cloud.positions).all()
    for name, values in cloud.attributes.items():
        assert (dense.attributes[name][:n] == values).all()
        assert dense.attributes[name].dtype == values.dtype
    assert dense.attributes["synthetic"].tolist() == [0] * n + [1] * (len(dense) - n)
    assert len(np.unique(dense.positions, axis=0)) == len(dense)


def test_new_points_lie_on_floor_and_walls_between_the_rings():
    cloud, _ = room(origin=(5.0, -3.0, 2.0), tilt=(0.0, 0.0))
    dense = pcsr_zoo.upsample(cloud, 2, model="scan-lines")
    error = np.abs(off(dense.positions[len(cloud) :], (5.0, -3.0, 2.0)))
    assert np.quantile(error, 0.9) < 1e-3
    assert error.max() < 0.06  # in the edges between floor and walls


def test_no_bridges_across_depth_edges():
    """A box at 3 m stands before walls: no new point between 3.3 m and the wall behind it."""
    _, polar = room()
    azimuth, elevation, ranges = polar.T
    box = (np.abs(azimuth) < 0.3) & (np.abs(elevation) < np.radians(9))
    ranges = np.where(box, 3 / np.cos(azimuth) / np.cos(elevation), ranges)
    flat = ranges * np.cos(elevation)
    points = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), ranges * np.sin(elevation)], axis=1)
    ring = np.argmin(np.abs(elevation[:, None] - ELEVATIONS), axis=1)
    dense = pcsr_zoo.upsample(Cloud(points, {"ring": ring}), 4, model="scan-lines")
    new = dense.positions[len(points) :]
    at = np.abs(np.arctan2(new[:, 1], new[:, 0])) < 0.28
    on_box = np.abs(new[:, 0] - 3) < 0.05
    assert (on_box & at).sum() > 500
    assert (on_box | (np.abs(off(new)) < 0.06))[at].all()


def test_nothing_returns_where_no_ray_does():
    cloud, _ = room(blind=True)
    dense = pcsr_zoo.upsample(cloud, 2, model="scan-lines")
    x, y, z = dense.positions[len(cloud) :].T
    blind = (np.arctan2(z, np.hypot(x, y)) > 0.01) & (np.abs(np.arctan2(y, x)) < np.pi / 4 - 0.02)
    assert not blind.any()


def test_numbers_of_rings():
    cloud, _ = room(shuffle=1)
    dense = pcsr_zoo.upsample(cloud, 2, model="scan-lines", renumber_rings=True)
    ring = dense.attributes["ring"]
    elevation = np.arcsin(dense.positions[:, 2] / np.linalg.norm(dense.positions, axis=1))
    middle = [np.median(elevation[ring == k]) for k in range(ring.max() + 1)]
    assert len(middle) >= 2 * len(ELEVATIONS) - 1
    assert (np.diff(middle) > 0).all()
    float_rings = Cloud(cloud.positions, {"ring": cloud.attributes["ring"].astype(np.float32)})
    between = pcsr_zoo.upsample(float_rings, 1.5, model="scan-lines").attributes["ring"][len(cloud) :]
    assert (between % 1 == 0.5).all()


def test_intensities_and_times_are_between_those_of_the_neighbors():
    cloud, polar = room()
    cloud.attributes["t"] = np.rint((polar[:, 0] + np.pi) * 1e6).astype(np.int32)
    dense = pcsr_zoo.upsample(cloud, 2, model="scan-lines")
    new = dense[len(cloud) :]
    azimuth = np.arctan2(new.positions[:, 1], new.positions[:, 0])
    error = np.abs(new.attributes["t"] / 1e6 - (azimuth + np.pi))
    assert new.attributes["t"].dtype == np.int32
    assert np.quantile(error, 0.98) < 0.02  # all but those at the seam of the turn
    truth = np.linalg.norm(new.positions, axis=1) * 10
    assert np.median(np.abs(new.attributes["intensity"] / truth - 1)) < 0.15


def test_the_default_model_depends_on_the_cloud():
    cloud, _ = room()
    assert suited(cloud) == "scan-net"
    assert suited(Cloud(np.random.default_rng(0).normal(size=(500, 3)))) == "jetnet"
    assert suited(Cloud(np.full((3, 3), np.nan))) == "jetnet"  # whose own error is clear


def test_options_of_other_models_are_refused():
    cloud, _ = room()
    with pytest.raises(OptionError, match="keep_input"):
        pcsr_zoo.upsample(cloud, 2, model="scan-lines", keep_input=False)
    with pytest.raises(OptionError, match="renumber_rings"):
        pcsr_zoo.upsample(cloud, 2, model="midpoint", renumber_rings=True)
    with pytest.raises(OptionError, match="origin"):
        pcsr_zoo.upsample(cloud, 2, model="scan-lines", origin=(0, 0))
    with pytest.raises(CloudError):
        pcsr_zoo.upsample(Cloud(np.random.default_rng(0).normal(size=(500, 3))), 2, model="scan-lines")
    with pytest.raises(OptionError):
        pcsr_zoo.recover(cloud, 2, model="scan-lines")


def test_more_points_than_the_model_dares(monkeypatch):
    monkeypatch.setattr(ScanLines, "least_confidence", 2.0)
    cloud, _ = room(columns=40)
    with pytest.raises(CloudError):
        pcsr_zoo.upsample(cloud, 2, model="scan-lines")
