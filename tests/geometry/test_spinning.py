"""Scans of spinning sensors: rings, pose, lookups and hypotheses, against scans computed by formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scans import ELEVATIONS, room, room_range

from pcsr_zoo import Cloud
from pcsr_zoo.errors import CloudError
from pcsr_zoo.geometry.spinning.hypotheses import NAMES, hypotheses
from pcsr_zoo.geometry.spinning.pose import Pose
from pcsr_zoo.geometry.spinning.scan import find_scans


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"field": "laser_id", "shuffle": 1}, "laser_id"),
        ({"field": None}, "order"),
        ({"field": None, "shuffle": 1}, "elevation"),
        ({"field": None, "blind": True}, "order"),
    ],
)
def test_rings_are_found(options, source):
    cloud, polar = room(**options)
    (scan,) = find_scans(cloud)
    assert scan.source == source
    assert scan.columns == 360
    assert np.allclose(scan.elevations, ELEVATIONS, atol=2e-3)
    truth = np.argmin(np.abs(polar[:, 1, None] - ELEVATIONS), axis=1)
    assert (truth[scan.rows] == scan.ring).all()
    assert sorted(scan.rows) == list(range(len(cloud)))


def test_a_turn_may_start_anywhere_and_go_either_way():
    cloud, _ = room(field=None)
    for order in (np.roll(np.arange(360), 100), np.arange(360)[::-1]):
        index = (np.arange(len(ELEVATIONS))[::-1, None] * 360 + order).ravel()  # from the highest ring, as KITTI
        (scan,) = find_scans(cloud[index])
        assert scan.source == "order"
        assert len(scan.elevations) == len(ELEVATIONS)
        assert np.bincount(scan.ring).tolist() == [360] * len(ELEVATIONS)


def test_the_pose_of_the_sensor_is_found():
    cloud, _ = room(origin=(0.8, -0.4, 1.6), tilt=(0.01, -0.02), shuffle=0)
    (scan,) = find_scans(cloud)
    assert np.allclose(scan.pose.origin, (0.8, -0.4, 1.6), atol=2e-3)
    assert np.allclose(scan.pose.tilt, (0.01, -0.02), atol=2e-4)
    assert np.abs(scan.polar[:, 1] - scan.elevations[scan.ring]).max() < 2e-4


def test_a_sensor_that_moves_during_the_turn():
    cloud, polar = room()
    time = (polar[:, 0] + np.pi) / (2 * np.pi)
    moved = Cloud(cloud.positions + np.outer(time - 0.5, (1.0, 0.3, 0)), {**cloud.attributes, "t": time})
    (scan,) = find_scans(moved)
    assert np.allclose(scan.pose.drift, (1.0, 0.3, 0), atol=0.02)
    assert np.abs(scan.polar[:, 2] - polar[scan.rows, 2]).max() < 0.03


def test_two_sensors_in_one_cloud():
    first, _ = room()
    second, _ = room(origin=(0.5, 2.0, -0.3), tilt=(0.0, 0.03))
    second.attributes["ring"] = second.attributes["ring"] + 32
    scans = find_scans(Cloud.concatenate([first, second]))
    assert len(scans) == 2
    assert np.allclose([scan.pose.origin for scan in scans], [(0, 0, 0), (0.5, 2.0, -0.3)], atol=0.01)


def test_rays_of_range_zero_are_no_points_of_the_scan():
    cloud, _ = room()
    blank = Cloud(np.zeros((500, 3)), {name: values[:500] for name, values in cloud.attributes.items()})
    (scan,) = find_scans(Cloud.concatenate([blank, cloud]))
    assert sorted(scan.rows) == list(range(500, 500 + len(cloud)))


def _sphere(n=6000):
    return np.random.default_rng(0).normal(size=(n, 3)) * [1, 1, 1]


@pytest.mark.parametrize(
    "points",
    [
        _sphere() / np.linalg.norm(_sphere(), axis=1, keepdims=True) + [4, 0, 0],
        _sphere(),
        np.stack([*np.meshgrid(np.arange(80), np.arange(80)), np.ones((80, 80))], axis=-1).reshape(-1, 3) * 1.0,
        # A depth camera's pixels, z forwards:
        np.stack(
            [*np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-0.7, 0.7, 60)), np.ones((60, 80))], axis=-1
        ).reshape(-1, 3)
        * 2.0,
        np.zeros((100, 3)),
        np.zeros((1, 3)),
    ],
)
def test_other_clouds_are_refused(points):
    with pytest.raises(CloudError):
        find_scans(Cloud(points))


def test_rings_that_do_not_fit_the_points_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(CloudError):
        find_scans(Cloud(_sphere(), {"ring": rng.integers(0, 32, 6000)}))


def test_polar_coordinates_and_back():
    rng = np.random.default_rng(0)
    pose = Pose(rng.normal(size=3), np.array([0.1, -0.2]), rng.normal(size=3))
    points, phase = rng.normal(size=(50, 3)) * 10, rng.uniform(-0.5, 0.5, 50)
    polar = pose.to_polar(points, phase)
    assert np.allclose(pose.from_polar(polar, phase), points)
    assert np.allclose(polar[:, 2], np.linalg.norm(points - pose.origin - phase[:, None] * pose.drift, axis=1))


def test_a_lookup_interpolates_on_the_ring():
    cloud, _ = room()
    (scan,) = find_scans(cloud)
    azimuth = np.random.default_rng(0).uniform(-np.pi, np.pi, 400)
    ring = np.arange(400) % len(ELEVATIONS)
    at = scan.at(ring, azimuth)
    assert at.found.all()
    truth = room_range(azimuth, ELEVATIONS[ring])
    assert np.median(np.abs(1 / at.inverse / truth - 1)) < 1e-4
    assert np.abs(1 / at.inverse / truth - 1).max() < 0.03  # in corners
    assert not scan.at(np.array([-1, len(ELEVATIONS)]), np.zeros(2)).found.any()


def test_the_image_and_the_share_of_empty_rays():
    cloud, _ = room(blind=True)
    (scan,) = find_scans(cloud)
    image = scan.image()
    assert image.shape == (len(ELEVATIONS), 360)
    assert (image >= 0).sum() == len(cloud)
    assert scan.empty == pytest.approx(1 - len(cloud) / image.size, abs=1e-6)
    kept = scan.keep(np.arange(0, 17, 4))
    assert np.allclose(kept.elevations, ELEVATIONS[::4], atol=2e-3)
    assert (kept.ring.max(), len(kept)) == (4, int((scan.ring % 4 == 0).sum()))


def test_hypotheses_are_exact_on_planes():
    """Four rings hit a floor, a wall or a slope; a ray between the second and the third hits the same."""
    rings, ray = np.radians([-12.0, -9.0, -6.0, -3.0]), np.radians(-7.3)
    surfaces = {
        "floor": lambda e: -1.7 / np.sin(e),
        "wall": lambda e: 6 / np.cos(e),
        "slope": lambda e: 3 / (0.2 * np.cos(e) - np.sin(e)),
    }
    right = {
        "floor": {"through", "on", "back", "level below", "level above"},
        "wall": {"through", "on", "back", "upright below", "upright above"},
        "slope": {"through", "on", "back"},
    }
    for name, surface in surfaces.items():
        found = hypotheses(np.array([ray]), rings[None], 1 / surface(rings)[None], np.ones((1, 4), bool))
        exact = {NAMES[k] for k in range(len(NAMES)) if abs(1 / found.inverse[0, k] - surface(ray)) < 1e-9}
        assert exact == right[name], name
    found = hypotheses(np.array([ray]), rings[None], 1 / surfaces["wall"](rings)[None], np.array([[0, 1, 0, 1]]) > 0)
    assert {NAMES[k] for k in np.flatnonzero(found.possible[0])} == {"below", "upright below", "level below"}
