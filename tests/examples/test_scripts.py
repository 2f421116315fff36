"""The scripts in examples/, run as users run them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from pcsr_zoo import Cloud, load, read, write

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)


def example(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_lidar_frame_keeps_what_it_is(tmp_path, capsys):
    laspy = pytest.importorskip("laspy")
    frame, output = tmp_path / "part.laz", tmp_path / "made" / "dense.laz"
    write(read(EXAMPLES / "data" / "street.laz")[::8], frame)
    example("lidar").main([str(frame), "-x", "2", "-m", "midpoint", "-o", str(output)])
    before, after = laspy.read(frame), laspy.read(output)
    count = len(before.points)
    assert len(after.points) == 2 * count
    np.testing.assert_array_equal(after.header.scales, before.header.scales)
    assert [vlr.record_id for vlr in after.header.vlrs] == [vlr.record_id for vlr in before.header.vlrs]
    assert after.intensity.dtype == before.intensity.dtype
    np.testing.assert_array_equal(after.intensity[:count], before.intensity)  # the measured points come first
    assert set(np.unique(after.classification)) <= set(np.unique(before.classification))
    assert output.with_suffix(".png").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "3,350 -> 6,700 points" in printed
    for label in np.unique(before.classification):
        assert f"{label}: {np.mean(before.classification == label):.0%} -> " in printed


def test_lidar_measures_distances_at_utm_coordinates():
    far = np.array([565_200.0, 5_934_800.0, 12.0])
    line = Cloud(far + np.arange(4.0)[:, None] * [1, 0, 0])
    between = Cloud(far + np.array([[0.25, 0, 0], [2.5, 0, 0], [3, 0, 0.125]]))
    np.testing.assert_allclose(example("lidar").away(between, line), [0.25, 0.5, 0.125], atol=1e-8)


def test_the_viewer_says_what_to_do_without_a_screen(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    write(Cloud(np.random.default_rng(0).normal(size=(100, 3))), tmp_path / "a.ply")
    with pytest.raises(SystemExit, match="pcsr render"):
        example("view").main([str(tmp_path / "a.ply"), "-m", "midpoint", "-x", "2"])
    with pytest.raises(SystemExit, match=r"none\.ply"):
        example("view").main([str(tmp_path / "none.ply")])


def test_the_viewer_is_given_clouds_that_can_be_seen():
    far = np.array([565_200.0, 5_934_800.0, 12.0])
    points = far + np.random.default_rng(0).normal(size=(200, 3))
    plain = example("view").drawable(Cloud(points))
    assert np.abs(np.asarray(plain.points)).max() < 10
    assert plain.has_normals()
    assert plain.has_colors()
    red = np.tile(np.array([255, 0, 0], np.uint8), (200, 1))
    painted = example("view").drawable(Cloud(points, {"colors": red}))
    np.testing.assert_allclose(np.asarray(painted.colors), red / 255)


@pytest.fixture
def samples(monkeypatch):
    """make_samples.py beside its modules, with the slow part, the street, left out."""
    monkeypatch.syspath_prepend(EXAMPLES)
    module = example("make_samples")
    monkeypatch.setattr(module, "street_cloud", lambda: Cloud(np.eye(3)))
    yield module
    for name in ("sculpture", "street", "isosurface"):
        sys.modules.pop(name, None)


def test_samples_are_made_elsewhere_and_nothing_is_replaced_unasked(samples, monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "sculpture_cloud", lambda count, seed: Cloud(np.eye(3)))
    monkeypatch.chdir(tmp_path)
    samples.main([])
    made = tmp_path / "runs" / "samples"
    assert sorted(path.name for path in made.iterdir()) == ["sculpture.ply", "street.laz"]
    (made / "street.laz").write_bytes(b"mine")
    (made / "sculpture.ply").unlink()
    with pytest.raises(SystemExit, match=r"street\.laz.*--overwrite"):
        samples.main([])
    assert (made / "street.laz").read_bytes() == b"mine"
    assert not (made / "sculpture.ply").exists()
    samples.main(["--overwrite"])
    assert len(read(made / "street.laz")) == 3


def test_samples_that_are_tracked_are_not_replaced(samples):
    with pytest.raises(SystemExit, match=r"sculpture\.ply.*--overwrite"):
        samples.main(["-o", str(EXAMPLES / "data")])


@pytest.mark.slow
def test_the_sculpture_comes_out_as_it_is_tracked(samples, tmp_path):
    samples.main(["-o", str(tmp_path)])
    assert (tmp_path / "sculpture.ply").read_bytes() == (EXAMPLES / "data" / "sculpture.ply").read_bytes()


@pytest.mark.slow
def test_fine_tuning_on_meshes_leaves_a_checkpoint(tmp_path, capsys):
    script, output = example("finetune_on_meshes"), tmp_path / "mine"
    meshes = script.make_meshes(tmp_path / "meshes", count=2)
    script.main([str(tmp_path / "meshes"), "--keep", str(meshes[1]), "-o", str(output), "--steps", "1"])
    printed = capsys.readouterr().out
    assert f"{meshes[1]}, which was not used" in printed
    assert printed.count("P2F") == 2
    assert len(load(output).upsample(np.random.default_rng(0).normal(size=(40, 3)), 2)) == 80
    with pytest.raises(SystemExit, match="at least two meshes"):
        script.main([str(meshes[0])])
