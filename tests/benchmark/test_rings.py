"""Scores on withheld rings, against a room whose ranges are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scans import ELEVATIONS, room, room_range

from pcsr_zoo import Cloud, write
from pcsr_zoo.benchmark.rings import _cubic, ring_scores
from pcsr_zoo.cli import main
from pcsr_zoo.errors import CloudError, OptionError


def by(rows, model, group):
    return next(row for row in rows if (row["model"], row["group"]) == (model, group))


def test_the_plane_is_exact_on_the_floor():
    cloud, _ = room()
    rows = ring_scores(cloud, 2, ["nearest", "linear", "plane"])
    withheld = 8 * 360
    for model in ("nearest", "linear", "plane"):
        assert sum(by(rows, model, group)["rays"] for group in ("ground", "above ground")) == withheld
    floor = {model: by(rows, model, "ground") for model in ("nearest", "linear", "plane")}
    assert floor["plane"]["within_5cm"] > 0.8  # some rays hit the foot of a wall
    assert floor["plane"]["mae"] < floor["linear"]["mae"] < floor["nearest"]["mae"]


def test_the_scores_of_nearest_by_hand():
    cloud, _ = room()
    row = by(ring_scores(cloud, 2, ["nearest"]), "nearest", "all")
    azimuth = -np.pi + (np.arange(360) + 0.3) * 2 * np.pi / 360
    errors = []
    for k in range(1, 17, 2):  # withheld; halfway, the ring above is taken, or the one below by rounding
        truth = room_range(azimuth, np.full(360, ELEVATIONS[k]))
        beside = [np.abs(room_range(azimuth, np.full(360, ELEVATIONS[k + d])) - truth) for d in (-1, 1)]
        errors.append(beside)
    low, high = np.min(errors, axis=1).mean(), np.max(errors, axis=1).mean()
    assert low - 1e-3 <= row["mae"] <= high + 1e-3
    assert row["dared"] == 1


def test_cubic_and_bilateral_by_hand():
    cloud, _ = room()
    names = ["linear", "cubic", "bilateral"]
    floor = {row["model"]: row for row in ring_scores(cloud, 2, names) if row["group"] == "ground"}
    assert floor["cubic"]["mae"] < floor["linear"]["mae"]  # the range on a floor, 1 / sin, is smooth
    nodes, values = np.array([[0.0, 1.0, 2.5, 4.0]]), np.array([[1.0, 2.0, 17.0, 65.0]])
    at = np.linspace(0, 4, 9)
    want = np.polyval(np.polyfit(nodes[0], values[0], 3), at)
    got = _cubic(at, np.repeat(nodes, 9, axis=0), np.repeat(values, 9, axis=0))
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_heights_are_those_of_the_range_at_its_angle():
    cloud, _ = room()
    floor = by(ring_scores(cloud, 2, ["nearest"]), "nearest", "ground")
    assert 0 < floor["height"] < floor["mae"]
    assert by(ring_scores(cloud, 2, ["plane"]), "plane", "ground")["height"] < 1e-6


def test_points_in_empty_rays_are_false():
    cloud, polar = room()
    azimuth, elevation = polar[:, 0], polar[:, 1]
    gone = (np.abs(azimuth) < 0.5) & (np.isclose(elevation, ELEVATIONS[9]) | np.isclose(elevation, ELEVATIONS[11]))
    before = by(ring_scores(cloud, 2, ["plane"]), "plane", "all")["false"]  # in corners
    after = by(ring_scores(cloud[~gone], 2, ["plane"]), "plane", "all")["false"]
    share = gone.sum() / (8 * 360)
    assert before < 0.03
    assert after == pytest.approx(share + (1 - share) * before, abs=0.006)


def test_upsamplers_of_points_and_of_scan_lines():
    cloud, _ = room()
    rows = ring_scores(cloud, 2, ["midpoint", "scan-lines"])
    lines = by(rows, "scan-lines", "all")
    assert 0.79 < lines["dared"] < 0.9  # many are equally sure
    assert lines["within_10cm"] > 0.98
    assert by(rows, "midpoint", "all")["dared"] < 1
    assert 0 < by(rows, "midpoint", "all")["iou"] <= lines["iou"] <= 1


def test_what_cannot_be_scored():
    cloud, _ = room()
    with pytest.raises(OptionError, match="every"):
        ring_scores(cloud, 1, ["plane"])
    with pytest.raises(OptionError, match="nothing"):
        ring_scores(cloud, 2, ["nothing"])
    with pytest.raises(CloudError):
        ring_scores(cloud, 9, ["plane"])
    with pytest.raises(CloudError):
        ring_scores(Cloud(np.random.default_rng(0).normal(size=(400, 3))), 2, ["plane"])


def test_the_command(tmp_path, capsys):
    cloud, _ = room()
    path = tmp_path / "frame.pcd"
    write(cloud, path)
    main(["rings", str(path), "--every", "2", "-m", "plane", "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    assert [row["group"] for row in rows] == ["ground", "above ground", "all"]
    assert rows[0]["file"] == str(path)
    main(["rings", str(path), "--every", "2", "-m", "plane"], standalone_mode=False)
    assert "plane" in capsys.readouterr().out
