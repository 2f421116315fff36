"""How a scan is parted, and how points that were left out judge its densified surface."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from pcsr_zoo.training.adapt_judge__GONE import Verdict, distances_to_surface, two_way_distances, worst_distances
from pcsr_zoo.training.adapt_scan__GONE import part, regions

from pcsr_zoo.errors import CloudError


def grid(side, step):
    axes = np.arange(side) * step
    return np.stack([*np.meshgrid(axes, axes, indexing="ij"), np.zeros((side, side))], axis=-1).reshape(-1, 3)


def sphere(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rows(points):
    return {row.tobytes() for row in np.ascontiguousarray(points)}


# -- distances


@pytest.mark.parametrize("step", [1.0, 250.0])
@pytest.mark.parametrize("height", [0.0, 0.1, -0.3])
def test_over_a_plane_it_is_the_height(height, step):
    cloud = grid(39, step)
    points = cloud[[400, 610, 1000]] + [0, 0, height * step]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = distances_to_surface(points @ turn.T, cloud @ turn.T, np.full(3, step))
    assert found == pytest.approx(abs(height) * step, abs=1e-9 * step)


def test_in_a_hole_it_is_the_way_out_of_it():
    cloud, middle = grid(39, 0.5), np.array([9.5, 9.5, 0.0])
    holed = cloud[np.linalg.norm(cloud - middle, axis=1) > 1.0]
    whole, hole = (distances_to_surface(middle[None], some, np.array([0.5]))[0] for some in (cloud, holed))
    assert whole == pytest.approx(0, abs=1e-9)
    assert hole == pytest.approx(np.linalg.norm(holed - middle, axis=1).min() - 0.75 * 0.5)


def test_both_ways_over_a_plane():
    """New points that lie so many spacings over the plane of all others."""
    given, made = grid(20, 1.0), grid(39, 0.5) + np.array([0, 0, 0.2])
    left = np.array([[4.5, 4.5, 0.0], [9.5, 12.5, 0.0], [14.5, 6.5, 0.0]])
    for scale in (1.0, 30.0):
        found = two_way_distances(scale * left, scale * given, scale * made, scale * made)
        unit = np.sqrt(1.5**2 + 0.5**2) / np.sqrt(6 / np.pi)  # the sixth of the given ones around the middle of a cell
        assert found == pytest.approx(np.full((3, 2), 0.2 / unit), rel=1e-6)


def test_a_stray_point_counts_one_spacing():
    dense = grid(23, 0.5)
    assert two_way_distances(np.array([[5.0, 5.0, 80.0]]), grid(12, 1.0), dense, dense)[0, 0] == pytest.approx(1.0)


def test_each_way_sees_what_the_other_does_not():
    """A sphere. Points on chords; off it on both sides, whose mean is right; and points that leave a hole."""
    given, left, ball = sphere(1500, 0), sphere(400, 1), sphere(4500, 2)
    sides = np.random.default_rng(3).choice([0.98, 1.02], 4500)[:, None]
    clouds = {"good": ball, "chords": 0.99 * ball, "both sides": sides * ball}
    far = np.linalg.norm(given - [0, 0, 1], axis=1) > 0.4
    found = {name: two_way_distances(left, given, np.concatenate([given, made]), made) for name, made in clouds.items()}
    there, back = ({name: values[:, way].mean() for name, values in found.items()} for way in (0, 1))
    assert there["good"] < 0.6 * there["chords"]
    assert back["good"] < 0.6 * back["both sides"]
    made = ball[np.linalg.norm(ball - [0, 0, 1], axis=1) > 0.4]
    hole = two_way_distances(left, given[far], np.concatenate([given[far], made]), made)
    inside = np.linalg.norm(left - [0, 0, 1], axis=1) < 0.3
    assert hole[inside, 0].mean() > 3 * hole[~inside, 0].mean()


def test_the_worst_distances_are_the_sides_of_hausdorffs():
    from scipy.spatial.distance import directed_hausdorff

    given, left, ball = sphere(700, 0), sphere(200, 1), sphere(2800, 2)
    dense = np.concatenate([given, ball, [[0.0, 0.0, 1.5]]])  # one stray new point
    far = np.concatenate([left, [[0.0, -1.4, 0.0]]])  # one stray point of the scan
    found = worst_distances(far, given, dense)
    sides = directed_hausdorff(far, dense)[0], directed_hausdorff(dense, np.concatenate([given, far]))[0]
    assert found[0] / found[1] == pytest.approx(sides[0] / sides[1])
    spacing = np.sqrt(4 * np.pi / 700)  # of so many points on a sphere, in sixth neighbors' terms
    assert found == pytest.approx(np.array(sides) / spacing, rel=0.1)
    assert worst_distances(30 * far, 30 * given, 30 * dense) == pytest.approx(found)


# -- the verdict


def test_the_verdict_wants_one_per_cent_and_two_standard_errors():
    rng = np.random.default_rng(0)
    before = rng.uniform(0.1, 0.3, (1000, 2))
    assert Verdict.of(before, 0.97 * before).better  # the same gain everywhere: no doubt
    assert not Verdict.of(before, 0.995 * before).better  # too small a gain
    noisy = before + rng.normal(-0.006, 0.3, (1000, 2))  # 3 %, but by chance
    assert not Verdict.of(before, noisy).better
    assert not Verdict.of(before, before).better
    assert not Verdict.of(np.zeros((9, 2)), np.zeros((9, 2))).better
    v = Verdict.of(before, noisy)
    from scipy.stats import ttest_rel

    assert (v.before - v.after) / v.error == pytest.approx(ttest_rel(before.mean(axis=1), noisy.mean(axis=1)).statistic)
    assert v.margin == pytest.approx(max(0.01 * before.mean(), 2 * v.error))


def test_what_is_better_one_way_only_is_not_better():
    before = np.random.default_rng(0).uniform(0.1, 0.3, (1000, 2))
    v = Verdict.of(before, before * [0.8, 1.03])
    assert v.before - v.after > v.margin
    assert not v.better
    assert Verdict.of(before, before * [0.8, 1.005]).better


def test_a_better_mean_does_not_outweigh_a_point_far_off():
    before = np.random.default_rng(0).uniform(0.1, 0.3, (1000, 2))

    def of(far, farther):
        return Verdict.of(before, 0.9 * before, far, farther)

    assert of((1.2, 1.2), (1.7, 1.7)).better
    for farther in ((1.9, 1.2), (1.2, 1.9), (1.2, np.nan)):
        v = of((1.2, 1.2), farther)
        assert (v.enough, v.strays, v.better) == (True, True, False)
    assert of((0.3, 0.3), (0.9, 0.9)).better  # within a spacing a point is not far off
    assert not of((40.0, 0.8), (40.0, 3.0)).better  # a stray point of the scan hides no new one


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
