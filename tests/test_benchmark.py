"""The benchmark on a small folder of generated shapes, against numbers computed here from the definitions."""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType

import numpy as np
import pytest

from pcsr_zoo.datasets import PUGANTestSet
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.metrics import point_to_surface
from pcsr_zoo.pipelines import benchmark
from pcsr_zoo.pipelines.benchmark_tasks import TASKS, add_noise, get_task, radius_of
from pcsr_zoo.pipelines.published import PUBLISHED


def sphere_points(n, seed):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def write_off(path, mesh):
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    rows = [f"OFF\n{len(vertices)} {len(triangles)} 0"]
    rows += [" ".join(map(repr, map(float, v))) for v in vertices] + [f"3 {a} {b} {c}" for a, b, c in triangles]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three shapes in the layout of the test set: ball and fandisk (a box) with a mesh, cloud without."""
    from pcsr_zoo._open3d import import_open3d

    geometry = import_open3d().geometry
    folder = tmp_path_factory.mktemp("data")
    base = folder / "pugan"
    for name in ("input_2048", "gt_8192", "mesh"):
        (base / name).mkdir(parents=True)
    ball = geometry.TriangleMesh.create_sphere(1.0, 30)
    box = geometry.TriangleMesh.create_box(1, 1, 1)
    clouds = {
        "ball": np.asarray(ball.sample_points_uniformly(8192).points),
        "fandisk": np.asarray(box.sample_points_uniformly(8192).points),
        "cloud": sphere_points(8192, 0) * [1, 2, 3],
    }
    for seed, (name, gt) in enumerate(clouds.items()):
        np.savetxt(base / "gt_8192" / f"{name}.xyz", gt, fmt="%.6f")
        given = gt[np.random.default_rng(seed).permutation(8192)[:2048]]
        if name == "fandisk":
            given = given * 1.01  # off the frame, as the published one
        np.savetxt(base / "input_2048" / f"{name}.xyz", given, fmt="%.6f")
    write_off(base / "mesh" / "ball.off", ball)
    write_off(base / "mesh" / "fandisk.off", box)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """A stand-in for the public API: `upsample` copies the input shifted by .01, samplers take the first."""
    seen = []

    def upsample(points, *, n, model, seed):
        seen.append(("upsample", len(points), n, model, seed))
        if model == "unknown":
            raise OptionError("unknown model 'unknown'")
        if model == "short" and n > 1000:
            n -= 1
        return points[np.arange(n) % len(points)] + 0.01

    def sample(points, *, n, model, seed):
        seen.append(("sample", len(points), n, model, seed))
        return points[:n]

    module = ModuleType("pcsr_zoo.pipelines.resample")
    module.upsample, module.sample = upsample, sample
    monkeypatch.setitem(sys.modules, "pcsr_zoo.pipelines.resample", module)
    return seen


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
    with pytest.raises(OptionError, match="cloud has no mesh"):
        data["cloud"].sample(10)


def test_what_is_missing_is_named(root, tmp_path):
    with pytest.raises(FileError, match=r"no PU-GAN test set here; it should hold the folders input_2048"):
        PUGANTestSet(tmp_path)
    (tmp_path / "input_2048").mkdir()
    with pytest.raises(FileError, match=r"gt_8192: the folder of the 8192-point ground truths is missing"):
        PUGANTestSet(tmp_path)
    (tmp_path / "gt_8192").mkdir()
    with pytest.raises(FileError, match=r"input_2048: no \.xyz files"):
        PUGANTestSet(tmp_path)
    (tmp_path / "input_2048" / "a.xyz").write_text("0 0 0\n1 nan 0\n")
    with pytest.raises(FileError, match=r"a\.xyz: the ground truth of 'a' is missing"):
        PUGANTestSet(tmp_path)
    (tmp_path / "gt_8192" / "a.xyz").write_text("0 0 zero\n")
    shape = PUGANTestSet(tmp_path)["a"]
    with pytest.raises(FileError, match=r"a\.xyz: not rows of numbers"):
        _ = shape.gt
    with pytest.raises(FileError, match=r"input_2048.a\.xyz: row 1 has a position that is NaN"):
        _ = shape.input
    with pytest.raises(OptionError, match=r"no test shape named 'camel'.* ball, cloud, fandisk"):
        PUGANTestSet(root, ["camel"])


# -- the tasks -------------------------------------------------------------------------------------------


def test_the_registry():
    assert list(TASKS) == [
        "up4", "up4-independent", "up16-512", "up16", "pcsr4", "pcsr8", "pcsr16",
        "noise-0.005", "noise-0.01", "noise-0.02",
    ]  # fmt: skip
    assert set(PUBLISHED) <= set(TASKS)
    with pytest.raises(OptionError, match="unknown task 'up5'; there are: up4,"):
        get_task("up5")


@pytest.mark.parametrize("name", [name for name in TASKS if name != "up16"])
def test_sizes(root, name):
    shape, task = PUGANTestSet(root)["ball"], TASKS[name]
    given, truth = task.given(shape, 0), task.truth(shape, 0)
    assert given.shape == ((8192 if task.recovers else task.n_in), 3)
    np.testing.assert_array_equal(truth, shape.gt)
    np.testing.assert_array_equal(given, task.given(shape, 0))
    assert task.n_out == 8192


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


# -- the runs --------------------------------------------------------------------------------------------


def test_rows_are_the_definition(root, calls):
    """`up4`: the model, and `repeat`, against the convention computed here by hand."""
    from scipy.spatial import cKDTree

    rows, steps = [], []
    results = benchmark.run_benchmark(
        root, ["up4"], ["shift", "repeat"], seed=5, on_row=rows.append, on_shape=steps.append
    )
    json.dumps(results)
    assert (results["convention"], results["seed"]) == ("pugan-2019", 5)
    assert results["command"] == (
        "pcsr benchmark --data DATA --task up4 --model shift --model repeat --convention pugan-2019 --seed 5"
    )
    assert {"cores", "python", "numpy", "torch"} <= set(results["machine"])
    assert ("upsample", 2048, 8192, "shift", 5) in calls

    def normalise(x):
        x = x - x.mean(axis=0)
        return x / np.linalg.norm(x, axis=1).max()

    data = PUGANTestSet(root)
    found = results["tasks"]["up4"]["models"]
    for model, shift in (("shift", 0.01), ("repeat", 0.0)):
        cds, hds, p2f = [], [], []
        for shape in data:
            prediction = np.concatenate([shape.input] * 4) + shift
            a, b = normalise(prediction), normalise(shape.gt)
            f, g = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
            cds.append(np.mean(f**2) + np.mean(g**2))
            hds.append(f.max() ** 2 + g.max() ** 2)
            assert found[model]["per_shape"][shape.name]["cd"] == pytest.approx(cds[-1] * 1e3, rel=1e-9)
            if shape.mesh_path is not None:
                p2f.append(point_to_surface(prediction, shape.mesh_path))
        row = found[model]
        assert row["cd"] == pytest.approx(np.mean(cds) * 1e3, rel=1e-9)
        assert row["hd"] == pytest.approx(np.mean(hds) * 1e3, rel=1e-9)
        assert row["p2f"] == pytest.approx(np.concatenate(p2f).mean() * 1e3, rel=1e-6)
        assert row["p2f_std"] == pytest.approx(np.concatenate(p2f).std() * 1e3, rel=1e-6)
        assert (row["shapes"], row["p2f_shapes"]) == (3, 2)
        assert row["per_shape"]["cloud"]["p2f"] is None
    assert [(row["task"], row["model"], row["convention"]) for row in rows] == [
        ("up4", "shift", "pugan-2019"),
        ("up4", "repeat", "pugan-2019"),
    ]
    assert rows[0]["cd"] == found["shift"]["cd"]
    assert [(step["done"], step["total"]) for step in steps] == [(1, 3), (2, 3), (3, 3)] * 2


def test_the_references(root, calls):
    results = benchmark.run_benchmark(root, ["up4-independent"], ["repeat", "jitter", "floor"])
    rows = results["tasks"]["up4-independent"]["models"]
    assert all(row["shapes"] == row["p2f_shapes"] == 2 for row in rows.values())
    assert rows["floor"]["seconds"] is None
    assert rows["floor"]["p2f"] < 1e-3
    assert rows["floor"]["cd"] < rows["repeat"]["cd"]
    assert rows["repeat"]["p2f"] < 1e-3
    # noise of .01 of the radius on 3 copies of 4; its part along the normal is a half normal distribution
    ball = rows["jitter"]["per_shape"]["ball"]["p2f"]
    assert ball == pytest.approx(0.75 * 10 * np.sqrt(2 / np.pi), rel=0.05)
    assert not calls
    again = benchmark.run_benchmark(root, ["up4-independent"], ["jitter", "floor"], shapes=["ball"])
    for name in ("jitter", "floor"):
        first = {key: value for key, value in rows[name]["per_shape"]["ball"].items() if key != "seconds"}
        row = again["tasks"]["up4-independent"]["models"][name]["per_shape"]["ball"]
        assert first == {key: value for key, value in row.items() if key != "seconds"}
    assert again["command"].endswith("# in Python, with shapes=['ball']")


def test_samplers(root, calls):
    benchmark.run_benchmark(root, ["pcsr8"], ["shift", "random+shift", "repeat"], seed=2, shapes=["cloud"])
    large = [call for call in calls if call[1] > 256]
    assert large == [
        ("sample", 8192, 1024, "fps", 2),
        ("upsample", 1024, 8192, "shift", 2),
        ("sample", 8192, 1024, "random", 2),
        ("upsample", 1024, 8192, "shift", 2),
        ("sample", 8192, 1024, "fps", 2),
    ]


def test_floor_leaves_out_shapes_without_a_mesh(root, calls):
    row = benchmark.run_benchmark(root, ["noise-0.02"], ["floor"])["tasks"]["noise-0.02"]["models"]["floor"]
    assert list(row["per_shape"]) == ["ball", "fandisk"]


@pytest.mark.parametrize(
    ("tasks", "models", "options", "message"),
    [
        (["up5"], ["jet"], {}, "unknown task 'up5'"),
        (["up4"], ["unknown"], {}, "unknown model 'unknown'"),
        (["up4"], ["fps+shift"], {}, r"'fps\+shift' names a sampler, but task 'up4' gives the input"),
        (["pcsr4"], ["fps+"], {}, r"write MODEL or SAMPLER\+MODEL"),
        (["up4"], ["shift"], {"convention": "x"}, "unknown convention 'x'"),
        (["up4"], ["shift"], {"shapes": ["x"]}, "no test shape named 'x'"),
        (["up4"], ["floor"], {"shapes": ["cloud"]}, "'floor' needs shapes with a mesh"),
        (
            ["up4-independent"],
            ["shift"],
            {"shapes": ["cloud"]},
            "task 'up4-independent' needs shapes with a mesh",
        ),
        ([], ["shift"], {}, "at least one task"),
        (["up4"], [], {}, "one model"),
    ],
)
def test_wrong_options_fail_before_any_row(root, calls, tasks, models, options, message):
    rows = []
    with pytest.raises(OptionError, match=message):
        benchmark.run_benchmark(root, tasks, ["repeat", *models] if models else [], on_row=rows.append, **options)
    assert not rows


def test_a_model_must_return_what_was_asked(root, calls):
    with pytest.raises(CloudError, match=r"short returned an array of shape \(8191, 3\) for ball in task up4"):
        benchmark.run_benchmark(root, ["up4"], ["short"])


# -- the report ------------------------------------------------------------------------------------------


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_report(root, calls, tmp_path):
    first = benchmark.run_benchmark(root, ["up4", "noise-0.01"], ["shift"])
    second = benchmark.run_benchmark(root, ["up4"], ["repeat"], convention="pugan-2019", seed=7)
    plain = benchmark.run_benchmark(root, ["up4"], ["repeat"], convention="plain")
    path = tmp_path / "first.json"
    benchmark.write_results(first, path)
    assert benchmark.read_results(path) == first
    target = tmp_path / "BENCHMARKS.md"
    benchmark.write_benchmarks_md([first, second, plain], target)
    assert sorted(os.listdir(tmp_path)) == ["BENCHMARKS.md", "first.json"]
    text = target.read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")[1:]}
    assert list(sections) == ["up4 (pugan-2019)", "up4 (plain)", "noise-0.01 (pugan-2019)"]
    up4 = sections["up4 (pugan-2019)"]
    for result in (first, second):
        assert f"```\n{result['command']}\n```" in up4
    assert str(root) not in text
    table = [cells(line) for line in up4.splitlines() if line.startswith("|")][2:]
    measured = [row for row in table if row[1] == "measured"]
    published = [row for row in table if row[1] == "*published*"]
    assert len(measured) + len(published) == len(table)
    row = first["tasks"]["up4"]["models"]["shift"]
    assert measured[0][:7] == [
        "`shift`", "measured", f"{row['cd']:.3f}", f"{row['hd']:.2f}", f"{row['p2f']:.2f}",
        f"{row['p2f_std']:.2f}", "3 (P2F 2)",
    ]  # fmt: skip
    assert measured[1][0] == "`repeat`"
    assert measured[1][-1].endswith("seed 7")
    by_name = {row[0]: row for row in published}
    assert by_name["*PointLIE*"][2:5] == ["0.320", "4.93", ""]
    assert by_name["*PU-Gaussian*"][2:5] == ["0.228", "1.71", "1.66"]
    assert all(row[-1].strip("*") for row in published)
    assert "*published*" not in sections["up4 (plain)"]
    assert "*published*" not in sections["noise-0.01 (pugan-2019)"]
    assert "were trained on the 120 meshes of PU-147" in " ".join(text.split())


def test_the_later_result_wins(root, calls):
    old = benchmark.run_benchmark(root, ["up4"], ["shift"], seed=1, shapes=["cloud"])
    new = benchmark.run_benchmark(root, ["up4"], ["shift"], seed=2)
    table = benchmark.markdown_table([old, new], task="up4")
    assert table.count("`shift`") == 1
    assert "seed 2" in table
    assert "--seed 1" not in table
    with pytest.raises(OptionError, match="no benchmark results"):
        benchmark.markdown_table([])


def test_report_files_that_are_no_reports(tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(FileError, match=r"a\.json: not JSON"):
        benchmark.read_results(tmp_path / "a.json")
    with pytest.raises(FileError, match=r"b\.json: not a result"):
        benchmark.read_results(tmp_path / "b.json")
    with pytest.raises(FileError, match=r"c\.json: cannot be read"):
        benchmark.read_results(tmp_path / "c.json")
    with pytest.raises(FileError):
        benchmark.write_results({}, tmp_path / "no" / "a.json")


# -- the real data ---------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.skipif("PCSR_DATA" not in os.environ, reason="PCSR_DATA names no data folder")
def test_the_floor_on_the_real_shapes():
    results = benchmark.run_benchmark(os.environ["PCSR_DATA"], ["up4-independent"], ["floor"])
    row = results["tasks"]["up4-independent"]["models"]["floor"]
    assert row["shapes"] == 21
    assert row["cd"] == pytest.approx(0.203, abs=0.004)  # three seeds: .204 to .205
    assert row["hd"] == pytest.approx(0.97, abs=0.05)
    assert row["p2f"] < 1e-3


@pytest.mark.data
@pytest.mark.skipif("PCSR_DATA" not in os.environ, reason="PCSR_DATA names no data folder")
@pytest.mark.parametrize(("task", "most"), [("up4", (0.230, 2.70, 1.73)), ("pcsr16", (0.53, 7.4, 4.7))])
def test_jet_on_the_real_shapes(task, most):
    """At or better than the first measured version of the method."""
    pytest.importorskip("pcsr_zoo.pipelines.resample")
    row = benchmark.run_benchmark(os.environ["PCSR_DATA"], [task], ["jet"])["tasks"][task]["models"]["jet"]
    assert (row["shapes"], row["p2f_shapes"]) == (27, 21)
    assert row["cd"] <= most[0] + 0.0005
    assert row["hd"] <= most[1]
    assert row["p2f"] <= most[2]
