"""The benchmark's test set and tasks on a small folder of generated shapes, against what their protocols say."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo.benchmark.published import published_rows
from pcsr_zoo.datasets import PUGANTestSet
from pcsr_zoo.datasets.pugan_tasks import TASKS, add_noise, get_task, radius_of
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.metrics import point_to_surface
from pcsr_zoo.models.registry import model_classes

pytest_plugins = ("small_test_set",)

# -- the test set ----------------------------------------------------------------------------------------


def test_test_set(root):
    data = PUGANTestSet(root)
    assert data.names == ["ball", "cloud", "fandisk"]
    assert len(data) == 3
    assert [shape.name for shape in data.with_mesh] == ["ball", "fandisk"]
    assert PUGANTestSet(root / "pugan").names == data.names
    assert PUGANTestSet(root, ["fandisk", "ball"]).names == ["fandisk", "ball"]
    ball, cloud = data["ball"], data[1]
    assert (ball.gt.shape, ball.input.shape, ball.gt.dtype) == ((8192, 3), (2048, 3), np.float64)
    np.testing.assert_array_equal(ball.gt, np.loadtxt(root / "pugan" / "gt_8192" / "ball.xyz"))
    np.testing.assert_array_equal(cloud.input, np.loadtxt(root / "pugan" / "input_2048" / "cloud.xyz"))
    assert ball.surface.area == pytest.approx(4 * np.pi, rel=0.01)
    assert cloud.surface is None


def test_fandisks_input_is_made_again(root):
    fandisk = PUGANTestSet(root)["fandisk"]
    truth = {tuple(row) for row in fandisk.gt}
    assert fandisk.input.shape == (2048, 3)
    assert len({tuple(row) for row in fandisk.input}) == 2048
    assert all(tuple(row) in truth for row in fandisk.input)


def test_drawing_from_the_mesh(root):
    data = PUGANTestSet(root)
    first, again, other = (data["ball"].sample(500, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert point_to_surface(first, data["ball"].mesh_path).max() < 1e-6
    with pytest.raises(OptionError, match="'cloud'"):
        data["cloud"].sample(10)


def test_what_is_missing_is_named(root, tmp_path):
    with pytest.raises(FileError, match="input_2048"):
        PUGANTestSet(tmp_path)
    (tmp_path / "input_2048").mkdir()
    with pytest.raises(FileError, match="gt_8192"):
        PUGANTestSet(tmp_path)
    (tmp_path / "gt_8192").mkdir()
    with pytest.raises(FileError, match="input_2048"):
        PUGANTestSet(tmp_path)
    (tmp_path / "input_2048" / "a.xyz").write_text("0 0 0\n1 nan 0\n")
    with pytest.raises(FileError, match=r"a\.xyz.*'a'"):
        PUGANTestSet(tmp_path)
    (tmp_path / "gt_8192" / "a.xyz").write_text("0 0 zero\n")
    shape = PUGANTestSet(tmp_path)["a"]
    with pytest.raises(FileError, match=r"a\.xyz"):
        _ = shape.gt
    with pytest.raises(FileError, match=r"input_2048.a\.xyz: row 1 "):
        _ = shape.input
    with pytest.raises(OptionError, match=r"'camel'.* ball, cloud, fandisk"):
        PUGANTestSet(root, ["camel"])


# -- the tasks -------------------------------------------------------------------------------------------


def test_the_registry():
    assert list(TASKS) == [
        "up4", "up4-random", "up4-independent", "up4-4096", "up16-512", "up16-512-random", "up16",
        "pcsr4", "pcsr8", "pcsr16",
        "noise-0.005", "noise-0.01", "noise-0.02",
    ]  # fmt: skip
    with pytest.raises(OptionError, match=r"up5.*up4"):
        get_task("up5")


def test_published_rows_belong_to_tasks():
    """A row under a name that is no task would never be shown."""
    rows = {task: published_rows(task) for task in TASKS}
    shown = ["up4", "up4-random", "up4-4096", "up16-512-random", "up16", "pcsr4", "pcsr8", "pcsr16"]
    assert [task for task in rows if rows[task]] == shown
    assert {task for cls in model_classes().values() for task in cls.published} <= set(TASKS)
    assert all(len(set(of_task)) == len(of_task) for of_task in rows.values())
    for task, name in (("up4", "SSPU-Net"), ("up4-random", "PointLIE"), ("pcsr4", "PointLIE"), ("up16", "Grad-PU")):
        assert name in [row.name for row in rows[task]]
    assert published_rows("up5") == []


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("up16", "up4-4096")])
def test_sizes(root, name):
    shape, task = PUGANTestSet(root)["ball"], TASKS[name]
    given, truth = task.given(shape, 0), task.truth(shape, 0)
    assert given.shape == ((8192 if task.recovers else task.n_in), 3)
    np.testing.assert_array_equal(truth, shape.gt)
    np.testing.assert_array_equal(given, task.given(shape, 0))
    assert task.n_out == 8192


def test_up4_4096_is_drawn_apart_from_its_truth(root):
    shape, task = PUGANTestSet(root)["ball"], TASKS["up4-4096"]
    given, truth = task.given(shape, 0), task.truth(shape, 0)
    assert (given.shape, truth.shape) == ((4096, 3), (16384, 3))
    assert point_to_surface(truth, shape.surface).max() < 1e-6
    assert not {tuple(point) for point in given} & {tuple(point) for point in truth}


def test_up4_independent_is_on_the_mesh_and_independent(root):
    shape = PUGANTestSet(root)["ball"]
    given = TASKS["up4-independent"].given(shape, 0)
    assert point_to_surface(given, shape.surface).max() < 1e-6
    truth = {tuple(np.round(row, 6)) for row in shape.gt}
    assert not any(tuple(np.round(row, 6)) in truth for row in given)


def test_noise_is_gaussian_of_the_radius_and_cut_off(root):
    shape = PUGANTestSet(root)["cloud"]
    radius = np.linalg.norm(shape.input - shape.input.mean(axis=0), axis=1).max()
    assert radius_of(shape.input) == pytest.approx(radius)
    for name, sigma in (("noise-0.005", 0.005), ("noise-0.01", 0.01), ("noise-0.02", 0.02)):
        noise = (TASKS[name].given(shape, 3) - shape.input) / radius
        assert np.abs(noise).max() <= 0.03 + 1e-12
        inside = noise[np.abs(noise) < 0.03 - 1e-9]
        from scipy.stats import kstest, truncnorm

        assert kstest(inside, truncnorm(-0.03 / sigma, 0.03 / sigma, scale=sigma).cdf).pvalue > 1e-3
        assert not np.array_equal(TASKS[name].given(shape, 3), TASKS[name].given(shape, 4))
    wide = add_noise(np.zeros((4, 3)) + np.eye(4, 3), 100.0, 0.03, np.random.default_rng(0)) - np.eye(4, 3)
    np.testing.assert_allclose(np.abs(wide), 0.03 * radius_of(np.eye(4, 3)))
