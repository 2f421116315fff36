"""`upsample` and `sample` as calls: what their options mean, what they refuse, and what they ask of a model."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from model_contract import UTM, torus_cloud, with_attributes

import pcsr_zoo
from pcsr_zoo import Cloud, list_models, load, model_info, sample, upsample, write
from pcsr_zoo.errors import OptionError, PcsrError
from pcsr_zoo.models import registry
from pcsr_zoo.models.base import Context, Sampler, Upsampler
from pcsr_zoo.models.midpoint.model import Midpoint
from pcsr_zoo.models.registry import register_model

POINTS = torus_cloud(200)


# -- options that make no sense -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "message"),
    [
        (0, "ratio.* 0"),
        (-4, "ratio.* -4"),
        (np.nan, "ratio.* nan"),
        (np.inf, "ratio.* inf"),
        ("many", "ratio.*'many'"),
        ([2, 3], r"ratio.* \[2, 3\]"),
        (None, "ratio.* n"),
    ],
)
@pytest.mark.parametrize("call", [upsample, sample])
def test_ratios_that_make_no_sense(call, ratio, message):
    with pytest.raises(OptionError, match=message):
        call(POINTS, ratio)


def test_ratios_below_one_name_the_other_call():
    with pytest.raises(OptionError, match=r"ratio.* 0\.5.*sample"):
        upsample(POINTS, 0.5)
    with pytest.raises(OptionError, match=r"ratio.* 0\.5.*upsample"):
        sample(POINTS, 0.5)


@pytest.mark.parametrize("n", [0, -1, 2.5, np.nan, np.inf, "many", True, [300]])
@pytest.mark.parametrize("call", [upsample, sample])
def test_counts_that_make_no_sense(call, n):
    with pytest.raises(OptionError, match=f" n .*{re.escape(repr(n))}"):
        call(POINTS, n=n)


def test_counts_on_the_wrong_side_name_the_other_call():
    with pytest.raises(OptionError, match=r"200.*199.*sample"):
        upsample(POINTS, n=199)
    with pytest.raises(OptionError, match=r"201.*200.*upsample"):
        sample(POINTS, n=201)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("jett", "jet"),
        ("midpiont", "midpoint"),
        ("poison", "poisson"),
        ("", "voxel"),
    ],
)
@pytest.mark.parametrize("call", [upsample, sample])
def test_unknown_models_get_a_suggestion(call, name, hint):
    with pytest.raises(OptionError, match=f"'{name}'.* {hint}"):
        call(POINTS, 4, model=name)


def test_an_unlike_name_gets_the_list():
    with pytest.raises(OptionError, match=", ".join(list_models())):
        upsample(POINTS, model="zzzzzz")


@pytest.mark.parametrize("model", [5, object(), np.zeros(3)])
@pytest.mark.parametrize("call", [upsample, sample])
def test_what_is_not_a_model_is_refused(call, model):
    with pytest.raises(OptionError, match=re.escape(repr(model))):
        call(POINTS, 4, model=model)


@pytest.mark.parametrize("device", ["warp", "cuda:99", "cpu:x", ""])
@pytest.mark.parametrize("call", [upsample, sample])
def test_devices_that_cannot_be_used(call, device):
    with pytest.raises(OptionError, match=f"'{device}'.* cpu"):
        call(POINTS, 4, device=device)


def test_the_cpu_by_any_name():
    torch = pytest.importorskip("torch")
    for device in ("cpu", None, torch.device("cpu")):
        np.testing.assert_array_equal(upsample(POINTS, device=device), upsample(POINTS))


@pytest.mark.parametrize("x", [None, "no such file.ply", np.zeros((3, 2)), np.zeros((4, 3), complex), 7])
@pytest.mark.parametrize("call", [upsample, sample])
def test_what_is_no_cloud_is_refused(call, x):
    with pytest.raises(PcsrError):
        call(x, 4)


# -- meaning of the options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [2.5, "2.5", np.float32(2.5), np.int64(3)])
def test_ratios_of_any_kind(ratio):
    assert len(upsample(POINTS, ratio)) == round(200 * float(ratio))


def test_the_default_ratio_is_four_and_a_count_goes_before_it():
    assert len(upsample(POINTS)) == 800
    assert len(upsample(POINTS, 9, n=300)) == 300
    assert len(upsample(POINTS, n=300.0)) == 300
    assert len(sample(POINTS, 9, n=100)) == 100


def test_a_path_is_read(tmp_path):
    cloud = with_attributes(POINTS)
    write(cloud, tmp_path / "in.ply")
    expected = upsample(cloud)
    for path in (tmp_path / "in.ply", str(tmp_path / "in.ply")):
        result = upsample(path)
        assert isinstance(result, Cloud)
        np.testing.assert_array_equal(result.positions, expected.positions)
        np.testing.assert_array_equal(result.attributes["colors"], expected.attributes["colors"])
    assert len(sample(tmp_path / "in.ply", 4)) == 50


def test_sample_gives_the_same_points_with_and_without_attributes():
    cloud = with_attributes(POINTS)
    for name in ("fps", "random", "poisson", "voxel"):
        rows = sample(cloud, 4, model=name).attributes["row"]
        np.testing.assert_array_equal(sample(POINTS, 4, model=name), POINTS[rows])


def test_colors_blend_and_codes_jump():
    """A cloud red on one side and blue on the other, of two classes."""
    side = POINTS[:, 0] > 0
    colors = np.where(side[:, None], np.uint8([255, 0, 0]), np.uint8([0, 0, 255]))
    result = upsample(Cloud(POINTS, {"colors": colors, "labels": side.astype(np.uint8) * 7}))
    far = np.abs(result.positions[:, 0]) > 0.4
    expected = np.where(result.positions[:, :1] > 0, [255, 0, 0], [0, 0, 255])
    np.testing.assert_array_equal(result.attributes["colors"][far], expected[far])
    between = result.attributes["colors"][~far]
    assert ((between[:, 0] > 0) & (between[:, 2] > 0)).any()
    assert (np.abs(between[:, 0].astype(int) + between[:, 2] - 255) <= 1).all()
    assert set(result.attributes["labels"]) == {0, 7}


def test_normals_stay_normals():
    """Those of the torus, of either sign, within what the spacing allows."""
    ring = POINTS * [1, 1, 0] / np.linalg.norm(POINTS[:, :2], axis=1, keepdims=True)
    flips = np.random.default_rng(0).choice([-1.0, 1.0], (200, 1))
    result = upsample(Cloud(POINTS, {"normals": (POINTS - ring) / 0.4 * flips}))
    ring = result.positions * [1, 1, 0] / np.linalg.norm(result.positions[:, :2], axis=1, keepdims=True)
    true = (result.positions - ring) / np.linalg.norm(result.positions - ring, axis=1, keepdims=True)
    cosine = np.abs((result.attributes["normals"] * true).sum(axis=1))
    assert np.median(cosine) > np.cos(np.radians(5))
    assert np.quantile(cosine, 0.05) > np.cos(np.radians(25))


def test_noise_decides_whether_the_input_is_kept():
    points = torus_cloud(1500)
    spacing = np.sqrt(4 * np.pi**2 * 0.4 / 1500)
    noisy = points + np.random.default_rng(0).normal(size=points.shape) * 0.25 * spacing
    np.testing.assert_array_equal(upsample(points, 2)[:1500], points)
    assert (upsample(noisy, 2)[:1500] != noisy).any(axis=1).mean() > 0.99
    np.testing.assert_array_equal(upsample(noisy, 2, keep_input=True)[:1500], noisy)
    np.testing.assert_array_equal(upsample(noisy, 2, keep_input=False), upsample(noisy, 2))
    # nothing but the count asked for: the cloud is cleaned
    assert len(upsample(noisy, 1)) == 1500


def test_float32_at_utm_keeps_its_grid():
    """float32 has steps of half a meter at 4.6e6: the result has them too, but the work is done in float64."""
    far = (POINTS * 5000 + UTM).astype(np.float32)
    result = upsample(far)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[:200], far)
    expected = upsample(far.astype(np.float64))
    assert np.abs(result - expected).max() <= 0.5


def test_one_far_outlier_does_no_harm():
    result = upsample(np.concatenate([POINTS, [[1e5, 0, 0]]]))
    assert len(result) == 804
    assert np.isfinite(result).all()
    assert (np.linalg.norm(result, axis=1) < 2).sum() >= 780


def test_extreme_but_finite_coordinates():
    for scale in (1e-120, 1e-30, 1e30, 1e120):
        result = upsample(POINTS * scale)
        assert np.isfinite(result).all()
        np.testing.assert_allclose(result[:200], POINTS * scale, rtol=0)
        assert np.abs(np.linalg.norm(result / scale, axis=1)).max() < 1.6


def test_clouds_of_two_scales():
    """A dense blob of a millionth of the size beside the torus: both are densified, neither is lost."""
    blob = torus_cloud(100, seed=1) * 1e-6 + [3, 0, 0]
    result = upsample(np.concatenate([POINTS, blob]), 4)
    assert len(result) == 1200
    near = np.linalg.norm(result - [3, 0, 0], axis=1) < 1e-5
    assert near.sum() >= 100
    assert np.isfinite(result).all()


# -- models of one's own ------------------------------------------------------------------------------------------


class Same(Upsampler):
    """Has no ideas."""

    name, summary, source = "same", "-", "-"

    def candidates(self, points, support, count, context):
        return points[:0]


class Repeats(Upsampler):
    """Proposes the points themselves."""

    name, summary, source = "repeats", "-", "-"

    def candidates(self, points, support, count, context):
        return np.concatenate([points, points])


class Few(Upsampler):
    """One new point a call."""

    name, summary, source = "few", "-", "-"

    def candidates(self, points, support, count, context):
        assert count >= 1
        return points[-2:].mean(axis=0, keepdims=True)


class Last(Sampler):
    name, summary, source = "last", "-", "-"

    def select(self, points, count, context):
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)  # the unit frame
        return np.arange(len(points) - count, len(points))


@pytest.mark.parametrize("model", [Same(), Repeats()])
def test_a_model_without_candidates_gets_its_count_all_the_same(model):
    result = upsample(POINTS, model=model)
    assert len(np.unique(result, axis=0)) == 800
    np.testing.assert_array_equal(result[:200], POINTS)
    np.testing.assert_array_equal(upsample(POINTS, 1, model=model), POINTS)


def test_a_model_with_few_candidates_is_asked_again():
    result = upsample(POINTS, n=212, model=Few())
    assert len(np.unique(result, axis=0)) == 212


def test_a_model_is_asked_by_steps_of_at_most_its_ratio():
    asked = []

    class Watch(Midpoint):
        max_step = 4.0

        def candidates(self, points, support, count, context):
            asked.append((len(points), count))
            assert len(support) == 200  # the measured points, at every step
            assert np.linalg.norm(points, axis=1).max() <= 1 + 1e-9
            return super().candidates(points, support, count, context)

    assert len(upsample(POINTS, 16, model=Watch())) == 3200
    assert asked[0] == (200, 600)
    assert asked[1] == (800, 2400)
    assert len(asked) == 2
    asked.clear()
    upsample(POINTS, 4, model=Watch())
    assert asked == [(200, 600)]


def test_a_registered_model_is_known_by_name(monkeypatch):
    monkeypatch.setattr("pcsr_zoo.models.registry._registered", dict(registry._registered))
    assert register_model(Last) is Last
    assert "last" in list_models()
    info = model_info("last")
    assert (info["name"], info["tasks"], info["summary"], info["source"]) == ("last", ["sample"], "-", "-")
    np.testing.assert_array_equal(sample(POINTS, n=3, model="last"), POINTS[-3:])
    np.testing.assert_array_equal(load(Last()).sample(POINTS, 100), POINTS[-2:])
    np.testing.assert_array_equal(load("last").sample(POINTS, n=5), POINTS[-5:])


def test_list_models_by_pattern():
    assert {"jet", "midpoint", "fps", "random", "poisson", "voxel"} <= set(list_models())
    assert list_models() == sorted(list_models())
    assert list_models("*point") == ["midpoint"]
    assert list_models("nothing*") == []


def test_a_context_of_nothing():
    Context().progress("anything", 0.5)
    assert Context() == Context()


def test_public_names():
    assert set(pcsr_zoo.__all__) <= set(dir(pcsr_zoo))
    for name in pcsr_zoo.__all__:
        assert getattr(pcsr_zoo, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = pcsr_zoo.nothing


def test_sampling_needs_neither_torch_nor_open3d():
    """Both take seconds to import."""
    code = (
        "import sys, numpy, pcsr_zoo; x = pcsr_zoo.sample(numpy.random.rand(99, 3), 3); "
        "assert len(x) == 33; assert not {'torch', 'open3d'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_class_is_as_good_as_its_name() -> None:
    points = np.random.default_rng(0).normal(size=(60, 3))
    np.testing.assert_array_equal(upsample(points, 2, model=Midpoint), upsample(points, 2, model="midpoint"))


def test_noise_can_be_told():
    points = torus_cloud(400)
    clean = upsample(points, 2, model="jet", noise=0.0)
    np.testing.assert_array_equal(clean[:400], points)
    assert np.abs(upsample(points, 2, model="jet", noise=0.4)[:400] - points).max() > 1e-3
    for wrong in (-1, np.nan, "much"):
        with pytest.raises(OptionError, match=f"noise.*{wrong}"):
            upsample(points, 2, model="jet", noise=wrong)
