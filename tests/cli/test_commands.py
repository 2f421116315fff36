"""Every command on small files: what it writes, what it prints, and what it passes on."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pcsr_zoo._version import __version__
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.cli import main
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.io import read, write
from pcsr_zoo.pipelines import resample


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output, result.output
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def bunny(tmp_path):
    """A sphere of 300 points with colors, as `bunny.ply`."""
    points = np.random.default_rng(0).normal(size=(300, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    colors = ((points + 1) * 127).astype(np.uint8)
    write(Cloud(points, {"colors": colors}), tmp_path / "bunny.ply")
    return tmp_path / "bunny.ply"


@pytest.fixture
def calls(monkeypatch):
    """Replaces the pipelines by one that repeats or slices the input; returns what it was called with."""
    seen: list[dict] = []

    def fake(name):
        def call(cloud, ratio=None, *, n=None, model, **options):
            seen.append({"task": name, "ratio": ratio, "n": n, "model": model.name, **options})
            count = n or round(len(cloud) * (ratio if name == "upsample" else 1 / ratio))
            return cloud[np.arange(count) % len(cloud)]

        return call

    for name in ("upsample", "sample"):
        monkeypatch.setattr(resample, name, fake(name))
    return seen


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -- upsample and sample


def test_upsample_stands_beside_its_input_with_its_attributes(bunny):
    code, out, err = run("upsample", bunny, "-x", 4)
    assert (code, err) == (0, "")
    result = read(bunny.with_name("bunny_x4.ply"))
    assert len(result) == 1200
    assert result.attributes["colors"].dtype == np.uint8
    assert out.startswith(f"{bunny.with_name('bunny_x4.ply')}: 300 -> 1,200 points in ")
    assert out.rstrip().endswith("(jetnet)")
    radius = np.linalg.norm(result.positions, axis=1)
    assert np.abs(radius - 1).max() < 0.1  # still the sphere


def test_upsample_to_a_count(bunny):
    assert run("upsample", bunny, "-n", 777)[0] == 0
    assert len(read(bunny.with_name("bunny_n777.ply"))) == 777


def test_sample_thins(bunny):
    code, out, _ = run("sample", bunny, "-x", 8)
    result = read(bunny.with_name("bunny_sampled_x8.ply"))
    assert code == 0
    assert len(result) == 38  # 300 / 8, rounded
    assert "300 -> 38 points" in out
    original = {tuple(row) for row in read(bunny).positions}
    assert all(tuple(row) in original for row in result.positions)


def test_the_suffix_of_o_is_the_format(bunny):
    assert run("sample", bunny, "-n", 50, "-o", bunny.with_name("small.npz"))[0] == 0
    assert zipfile.is_zipfile(bunny.with_name("small.npz"))
    assert len(read(bunny.with_name("small.npz"))) == 50


def test_the_same_seed_gives_the_same_file(bunny):
    for name in ("a.ply", "b.ply"):
        assert run("upsample", bunny, "-x", 2.5, "--seed", 7, "-o", bunny.with_name(name))[0] == 0
    assert bunny.with_name("a.ply").read_bytes() == bunny.with_name("b.ply").read_bytes()


def test_las_keeps_its_header(tmp_path):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [0.001] * 3, [500_000.0, 4_000_000.0, 0.0]
    las = laspy.LasData(header)
    points = np.random.default_rng(1).normal([500_100, 4_000_100, 50], size=(200, 3))
    las.x, las.y, las.z = points.T
    las.intensity = np.arange(200, dtype=np.uint16)
    las.write(tmp_path / "scan.las")
    assert run("upsample", tmp_path / "scan.las", "-x", 2)[0] == 0
    out = laspy.read(tmp_path / "scan_x2.las")
    assert len(out) == 400
    assert out.header.point_format.id == 3
    np.testing.assert_array_equal(out.header.scales, header.scales)


@pytest.fixture
def tetra(tmp_path):
    """A mesh."""
    faces = "3 0 1 2\n3 0 3 1\n3 0 2 3\n3 1 3 2\n"
    (tmp_path / "tetra.off").write_text(f"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n{faces}")
    return tmp_path / "tetra.off"


@pytest.mark.parametrize(("command", "tag", "left"), [("upsample", "x2", 2), ("sample", "sampled_x2", 0.5)])
def test_a_mesh_becomes_points_in_a_ply(tetra, command, tag, left):
    """How many, is said where the user did not."""
    code, out, _ = run(command, tetra, "-x", 2, "--points", 150)
    assert code == 0
    assert f"150 -> {150 * left:.0f} points" in out
    assert "--points" not in out
    assert len(read(tetra.with_name(f"tetra_{tag}.ply"))) == 150 * left
    code, out, _ = run(command, tetra, "-x", 2, "--overwrite")
    assert code == 0
    (said,) = (line for line in out.splitlines() if "--points" in line)
    assert said.startswith(f"{tetra}: 8,192 points")
    assert len(read(tetra.with_name(f"tetra_{tag}.ply"))) == 8192 * left


@pytest.mark.parametrize("command", ["upsample", "sample"])
def test_points_are_for_meshes(bunny, tetra, command):
    code, out, err = run(command, bunny, "-x", 2, "--points", 150)
    assert (code, out) == (1, "")
    assert str(bunny) in err
    assert "--points" in err
    assert names(bunny.parent) == ["bunny.ply", "tetra.off"]
    code, _, err = run(command, bunny, tetra, "-x", 2, "--points", 150)  # the mesh is done all the same
    assert code == 1
    assert str(bunny) in err
    assert len(names(bunny.parent)) == 3


def test_options_reach_the_pipeline(bunny, calls):
    options = ("--model", "midpoint", "--seed", 5, "--device", "cpu", "--no-keep-input")
    assert run("upsample", bunny, "-x", 3, *options)[0] == 0
    assert run("sample", bunny, "-n", 10, "--model", "random", "--seed", 3)[0] == 0
    first, second = calls
    assert first["keep_input"] is False
    assert (first["ratio"], first["model"], first["seed"], first["device"]) == (3, "midpoint", 5, "cpu")
    assert (second["task"], second["n"], second["model"], second["seed"]) == ("sample", 10, "random", 3)


def test_what_is_not_said_is_left_to_the_pipeline(bunny, calls):
    assert run("upsample", bunny, "-x", 2)[0] == 0
    assert calls[0]["keep_input"] is None
    assert calls[0]["device"] == "cpu"
    assert calls[0]["progress"] is None  # not a terminal


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_and_verbose_before_and_after_the_command(bunny, calls, place):
    command = ("upsample", bunny, "-x", 2, "--overwrite")
    for flag in ("--quiet", "--verbose"):
        code, out, err = run(flag, *command) if place == "before" else run(*command, flag)
        assert code == 0
        assert (out == "") == (flag == "--quiet")
        assert ("300 points" in err) == (flag == "--verbose")


def test_what_a_format_cannot_hold_is_said(bunny, calls):
    code, _, err = run("upsample", bunny, "-x", 2, "-o", bunny.with_name("out.bin"))
    assert code == 0
    assert err.startswith("Warning: ")
    assert "colors" in err
    assert run("upsample", bunny, "-x", 2, "-o", bunny.with_name("2.bin"), "--quiet")[2] == ""


# -- several inputs


def test_several_inputs_and_a_folder_for_the_outputs(bunny, calls):
    other = bunny.with_name("cow.xyz")
    write(Cloud(np.random.default_rng(0).normal(size=(20, 3))), other)
    code, out, _ = run("upsample", bunny, other, "-x", 2, "-o", bunny.parent / "out")
    assert code == 0
    assert names(bunny.parent / "out") == ["bunny_x2.ply", "cow_x2.xyz"]
    assert out.splitlines()[2:] == ["2 of 2 files are done"]


def test_a_model_is_loaded_once_for_all_files(bunny, monkeypatch):
    for k in range(3):
        write(Cloud(np.random.default_rng(k).normal(size=(20, 3))), bunny.with_name(f"{k}.ply"))
    real, seen = checkpoints._fitting, []
    monkeypatch.setattr(checkpoints, "_fitting", lambda path: seen.append(path.name) or real(path))
    code, out, _ = run("upsample", bunny.parent, "-x", 2)
    assert (code, len(out.splitlines())) == (0, 5)  # the last one is the report
    assert seen == ["jetnet"]


def test_a_folder_is_all_its_clouds_and_not_its_earlier_results(bunny, calls):
    (bunny.parent / "notes.md").write_text("no cloud")
    folder = bunny.parent
    assert run("upsample", folder, "-x", 2)[0] == 0
    assert names(folder) == ["bunny.ply", "bunny_x2.ply", "notes.md"]
    assert run("upsample", folder, "-x", 2)[0] == 1  # exists
    assert run("upsample", folder, "-x", 2, "--overwrite")[0] == 0
    assert names(folder) == ["bunny.ply", "bunny_x2.ply", "notes.md"]


def test_one_bad_input_does_not_stop_the_others(bunny, calls):
    (bunny.parent / "broken.ply").write_bytes(b"ply\nformat ascii 1.0\nelement ver")
    (bunny.parent / "empty").mkdir()
    missing = bunny.with_name("missing.ply")
    code, out, err = run("upsample", bunny.parent / "broken.ply", missing, bunny.parent / "empty", bunny, "-x", 2)
    assert code == 1
    assert "bunny_x2.ply" in out
    assert len([line for line in err.splitlines() if line.startswith("Error: ")]) == 3
    assert all(name in err for name in ("broken.ply", "missing.ply", "empty"))
    assert re.search(r"\b3 of 4\b.*\b1\b", err)
    assert names(bunny.parent) == ["broken.ply", "bunny.ply", "bunny_x2.ply", "empty"]


# -- info and models


def test_info_for_people_and_for_programs(bunny):
    code, out, _ = run("info", bunny)
    assert code == 0
    assert "points: 300" in out
    assert "colors: uint8 x 3" in out
    one = json.loads(run("info", bunny, "--json")[1])
    assert one["points"] == 300
    np.testing.assert_allclose(one["bounds"], read(bunny).bounds)
    many = json.loads(run("info", bunny, bunny.parent, bunny, "--json")[1])
    assert [entry["points"] for entry in many] == [300]  # each file once


def test_info_json_stays_json_beside_a_broken_file(bunny):
    code, out, err = run("info", bunny, bunny.with_name("missing.ply"), "--json")
    assert code == 1
    assert [entry["points"] for entry in json.loads(out)] == [300]
    assert "missing.ply" in err


def test_models_are_listed_by_pattern():
    code, out, _ = run("models")
    assert code == 0
    assert {"jet", "midpoint", "fps", "random", "poisson", "voxel"} <= {line.split()[0] for line in out.splitlines()}
    assert [line.split()[0] for line in run("models", "mid*")[1].splitlines()] == ["model", "midpoint"]
    assert json.loads(run("models", "jet", "--json")[1])[0]["tasks"] == ["upsample", "recover"]


# -- render


def test_render_draws_side_by_side(bunny):
    target = bunny.with_name("both.png")
    code, out, _ = run("render", bunny, bunny, "-o", target, "--size", "120x100", "--view", "0,0", "--view", "90,10")
    assert code == 0
    with Image.open(target) as image:
        assert image.width == 120  # the same file twice is drawn once
        assert image.height > 200
    assert str(target) in out


def test_render_colors_by_attribute_and_by_distance(bunny):
    other = bunny.with_name("other.ply")
    write(Cloud(read(bunny).positions * 1.1), other)
    size = ("--size", "120x100")
    assert run("render", bunny, "-o", bunny.with_name("a.png"), "--color-by", "colors", *size)[0] == 0
    assert run("render", bunny, other, "-o", bunny.with_name("b.png"), "--reference", bunny, *size)[0] == 0
    with Image.open(bunny.with_name("b.png")) as image:
        assert image.width == 240
    code, _, err = run("render", bunny, "-o", bunny.with_name("c.png"), "--color-by", "colr", *size)
    assert code == 1
    assert "colors" in err
    assert not bunny.with_name("c.png").exists()


# -- evaluate


def test_evaluate_against_the_definition(bunny):
    other = bunny.with_name("other.ply")
    points = read(bunny).positions
    moved = points + np.random.default_rng(0).normal(size=points.shape) * 0.02
    write(Cloud(moved), other)
    code, out, _ = run("evaluate", other, bunny)
    assert code == 0
    assert "pugan-2019" in out
    a, b = (p - p.mean(axis=0) for p in (moved, points))
    a, b = (p / np.linalg.norm(p, axis=1).max() for p in (a, b))
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    cd = squared.min(axis=1).mean() + squared.min(axis=0).mean()
    hd = squared.min(axis=1).max() + squared.min(axis=0).max()
    result = json.loads(run("evaluate", other, bunny, "--json")[1])
    assert result["convention"] == "pugan-2019"
    assert result["cd"] == pytest.approx(cd)
    assert result["hd"] == pytest.approx(hd)
    assert f"cd: {1000 * cd:.4g}" in out
    away = np.linalg.norm(moved[:, None] - points[None], axis=-1)
    there, back = away.min(axis=1), away.min(axis=0)
    assert result["mean_distance"] == pytest.approx((there.mean() + back.mean()) / 2)
    assert result["largest_distance"] == pytest.approx(max(there.max(), back.max()))
    assert f"mean {result['mean_distance']:.4g}, largest {result['largest_distance']:.4g}" in out
    half = json.loads(run("evaluate", other, bunny, "--json", "--convention", "half-2024")[1])
    assert half["cd"] == pytest.approx(cd / 2)


def test_evaluate_with_a_mesh_measures_to_its_surface(tmp_path):
    (tmp_path / "square.off").write_text("OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n")
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9), [0.25]), axis=-1).reshape(-1, 3)
    write(Cloud(grid), tmp_path / "above.ply")
    code, out, _ = run(
        "evaluate", tmp_path / "above.ply", tmp_path / "above.ply", "--mesh", tmp_path / "square.off", "--emd"
    )
    assert code == 0
    assert dict(re.findall(r"(\w+): (\S+)", out)).items() >= {"p2f_mean": "250", "cd": "0", "emd": "0"}.items()


# -- benchmark


def test_benchmark_prints_rows_and_writes_results(tmp_path, monkeypatch):
    from pcsr_zoo.benchmark import run as benchmark

    row = {"cd": 0.23, "hd": 2.7, "p2f": None, "p2f_std": None, "shapes": 2, "p2f_shapes": 0, "seconds": 0.5}
    seen = {}

    def fake(root, tasks, models, convention, seed, on_row, on_shape):
        seen.update(root=root, tasks=tasks, models=models, convention=convention, seed=seed)
        on_shape({"task": "up4", "model": "jet", "shape": "a", "done": 1, "total": 2})
        on_row({"task": "up4", "model": "jet", "convention": convention, **row})
        return {"convention": convention, "tasks": {"up4": {"protocol": "", "models": {"jet": row}}}}

    monkeypatch.setattr(benchmark, "run_benchmark", fake)
    options = ("--seed", 3, "--json", tmp_path / "r.json")
    many = ("--task", "up4", "--task", "pcsr8", "--model", "jet", "--model", "fps+jet")
    code, out, _ = run("benchmark", "--data", tmp_path, *many, *options)
    assert code == 0
    assert seen == {
        "root": str(tmp_path),
        "tasks": ("up4", "pcsr8"),
        "models": ("jet", "fps+jet"),
        "convention": "pugan-2019",
        "seed": 3,
    }
    assert out.splitlines()[-1].split() == ["up4", "jet", "0.23", "2.7", "-", "2", "0.5"]
    assert json.loads((tmp_path / "r.json").read_text())["tasks"]["up4"]["models"]["jet"]["cd"] == 0.23


def test_version_and_help():
    assert run("--version")[1].split()[-1] == __version__
    for command in main.commands:
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "--verbose" in out
