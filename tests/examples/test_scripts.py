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


def test_the_table_of_adapting():
    row = {"size": 2048, "left_out_before": 0.2, "left_out_after": 0.19, "needed": 2.5, "kept": "adapted"}
    scan = {**row, "other": 0.15, "seconds": 30}
    table = example("adapt_to_scan").table
    assert "| car | 2,048 | 0.2000 | 0.1900 | -5.0 % | -2.5 % | adapted | 0.1500 | 30 |" in table({"car": scan})
    assert "CD" not in table({"car": scan})
    truth = {"before": [0.1, 1, 2], "after": [0.2, 1, 2], "jetnet": [0.3, 1, 2]}
    both = table({"car": scan, "camel": {**scan, "truth": truth}})
    assert both.splitlines()[-1] == "| camel | 0.100 / 1.000 / 2.000 | 0.200 / 1.000 / 2.000 | 0.300 / 1.000 / 2.000 |"


@pytest.mark.slow
def test_fine_tuning_on_meshes_leaves_a_checkpoint(tmp_path, capsys):
    script, output = example("finetune_on_meshes"), tmp_path / "mine"
    meshes = script.make_meshes(tmp_path / "meshes", count=2)
    script.main([str(tmp_path / "meshes"), "--keep", str(meshes[1]), "-o", str(output), "--steps", "1"])
    printed = capsys.readouterr().out
    assert f"{meshes[1]}, which it never saw" in printed
    assert printed.count("P2F") == 2
    assert len(load(output).upsample(np.random.default_rng(0).normal(size=(40, 3)), 2)) == 80
    with pytest.raises(SystemExit, match="at least two meshes"):
        script.main([str(meshes[0])])
