"""How a scan is parted, and how points that were left out judge its densified surface."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from pcsr_zoo.errors import CloudError
from pcsr_zoo.training.adapt_judge import Verdict, held_out_distances
from pcsr_zoo.training.adapt_scan import part, regions


def grid(side, step):
    axes = np.arange(side) * step
    return np.stack([*np.meshgrid(axes, axes, indexing="ij"), np.zeros((side, side))], axis=-1).reshape(-1, 3)


def sphere(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rows(points):
    return {row.tobytes() for row in np.ascontiguousarray(points)}


# -- distances


def spacing_of_a_grid(step):
    return (
        step * np.sqrt(2) / np.sqrt(6 / np.pi)
    )  # seen from a grid point, the sixth is on a diagonal (the first itself)


@pytest.mark.parametrize("height", [0.0, 0.1, -0.3])
@pytest.mark.parametrize("step", [1.0, 250.0])
def test_over_a_plane_it_is_the_height_in_spacings(height, step):
    given, dense = grid(20, step), grid(39, step / 2)
    left = given[[105, 210, 263]] + [0, 0, height * spacing_of_a_grid(step)]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = held_out_distances(left @ turn.T, given @ turn.T, dense @ turn.T)
    assert found == pytest.approx(abs(height), abs=0.01)  # the spacing is that around the raised point


def test_in_a_hole_it_is_the_way_out_of_it():
    given, dense = grid(20, 1.0), grid(39, 0.5)
    middle = np.array([9.5, 9.5, 0.0])
    holed = dense[np.linalg.norm(dense - middle, axis=1) > 1.0]
    whole, hole = (held_out_distances(middle[None], given, cloud)[0] for cloud in (dense, holed))
    assert whole == pytest.approx(0, abs=1e-9)
    nearest = np.linalg.norm(holed - middle, axis=1).min()
    unit = np.sqrt(1.5**2 + 0.5**2) / np.sqrt(6 / np.pi)  # the sixth of the given ones around the middle of a cell
    reach = 0.75 * unit * np.sqrt(len(given) / len(holed))
    assert hole == pytest.approx((nearest - reach) / unit, rel=1e-6)


def test_a_stray_point_counts_one_spacing():
    assert held_out_distances(np.array([[5.0, 5.0, 80.0]]), grid(12, 1.0), grid(23, 0.5)) == pytest.approx(1.0)


def test_a_better_surface_is_nearer():
    """A sphere, its dense points on it, on chords, and off it."""
    given, left, dense = sphere(1500, 0), sphere(400, 1), sphere(6000, 2)
    good, chords, off = (
        held_out_distances(left, given, np.concatenate([given, cloud])).mean()
        for cloud in (dense, 0.996 * dense, 0.98 * dense)
    )
    assert good < 0.5 * chords < 0.5 * off


# -- the verdict


def test_the_verdict_wants_one_per_cent_and_two_standard_errors():
    rng = np.random.default_rng(0)
    before = rng.uniform(0.1, 0.3, 1000)
    assert Verdict.of(before, 0.97 * before).better  # the same gain everywhere: no doubt
    assert not Verdict.of(before, 0.995 * before).better  # too small a gain
    noisy = before + rng.normal(-0.006, 0.3, 1000)  # 3 %, but by chance
    assert not Verdict.of(before, noisy).better
    assert not Verdict.of(before, before).better
    assert not Verdict.of(np.zeros(9), np.zeros(9)).better
    v = Verdict.of(before, noisy)
    from scipy.stats import ttest_rel

    assert (v.before - v.after) / v.error == pytest.approx(ttest_rel(before, noisy).statistic)
    assert v.margin == pytest.approx(max(0.01 * before.mean(), 2 * v.error))


# -- parts


def test_the_parts_of_a_small_scan():
    scan = 40 * sphere(1000) + [500_000, 4_600_000, 0]
    found = part(np.concatenate([scan, scan[:50]]), seed=3)  # what is there twice could be left out and given
    assert len(found.areas) == 1
    area = found.areas[0]
    assert (len(found.training), len(area.watched), len(area.final)) == (700, 100, 200)
    kinds = [rows(points) for points in (found.training, area.watched, area.final)]
    assert sum(map(len, kinds)) == len(set.union(*kinds)) == 1000
    assert rows(area.given) == kinds[0]
    np.testing.assert_array_equal(part(scan, 3).training, part(scan, 3).training)
    assert rows(part(scan, 4).training) != rows(part(scan, 3).training)


def test_the_parts_of_a_large_scan():
    scan = sphere(60_000)
    found = part(scan)
    assert len(found.areas) == 6
    left = [rows(points) for area in found.areas for points in (area.watched, area.final)]
    assert sum(map(len, left)) == len(set.union(*left)) == len(scan) - len(found.training)
    assert not set.union(*left) & rows(found.training)
    for area in found.areas:
        assert rows(area.given) <= rows(found.training)
        middle = np.concatenate([area.watched, area.final]).mean(axis=0)
        reach = np.linalg.norm(area.given - middle, axis=1).max()
        assert np.linalg.norm(area.final - middle, axis=1).max() < 0.9 * reach  # away from the border
    cut = regions(found.training)
    assert {cut.points(k).shape for k in range(len(cut))} == {(4096, 3)}
    back = np.concatenate([cut.points(k) * cut.frames[k, 3] + cut.frames[k, :3] for k in range(len(cut))])
    from scipy.spatial import cKDTree

    assert cKDTree(found.training).query(back)[0].max() < 1e-6
    assert (cKDTree(back).query(found.training)[0] < 1e-6).mean() > 0.8
    assert np.isnan(cut.normals(0)).all()  # nothing is known but points


def test_a_small_scan_is_one_region():
    training = part(sphere(3000)).training
    assert len(regions(training)) == 1
    assert len(regions(training).points(0)) == len(training)


def test_too_few_points():
    with pytest.raises(CloudError, match="my scan has 500 distinct points; 512 are needed to adapt"):
        part(np.repeat(sphere(500), 4, axis=0), name="my scan")
