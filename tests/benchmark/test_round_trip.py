"""`roundtrip`: real bytes, metrics by definition, codecs at equal bytes; and the command."""

from __future__ import annotations

import builtins
import json
import os
import re

import numpy as np
import pytest
from cli_run import run
from halving import Halving, halving  # noqa: F401
from model_contract import UTM, torus_cloud
from PIL import Image
from scipy.spatial import cKDTree
from toy_model import toy  # noqa: F401

from pcsr_zoo import Cloud, read, recover, sample, write
from pcsr_zoo.benchmark.codecs import CODECS, LAZ, Draco
from pcsr_zoo.benchmark.names import sampler_and_recoverer
from pcsr_zoo.benchmark.round_trip import roundtrip
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.grid import Grid
from pcsr_zoo.metrics.conventions import evaluate

POINTS = torus_cloud(1200)


@pytest.fixture
def mine(halving, tmp_path_factory):  # noqa: F811
    """The name of a model that samples and recovers: the folder of a checkpoint."""
    return str(save_with_card(tmp_path_factory.mktemp("runs") / "mine", Halving()))


def chamfer_and_hausdorff(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """`pugan-2019` from its definition, by all pairs."""
    a, b = (p - p.mean(axis=0) for p in (a, b))
    a, b = (p / np.linalg.norm(p, axis=1).max() for p in (a, b))
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    there, back = squared.min(axis=1), squared.min(axis=0)
    return there.mean() + back.mean(), there.max() + back.max()


@pytest.fixture(scope="module")
def trip():
    pytest.importorskip("DracoPy")
    pytest.importorskip("laspy")
    return roundtrip(POINTS, 8, bits=9)


# -- models ---------------------------------------------------------------------------------------------------------


def test_the_rows_and_their_figures(trip):
    rows = {row["name"]: row for row in trip.facts["rows"]}
    assert list(rows)[:4] == ["pointlie-x8", "pointlie-geo-x8", "fps+jet", "fps+jetnet"]
    assert {row["kind"] for row in list(rows.values())[4:]} == {"codec"}
    assert trip.facts["skipped"] == []
    for name, row in rows.items():
        assert row["convention"] == trip.facts["convention"] == "pugan-2019"
        cd, hd = chamfer_and_hausdorff(trip.recovered[name], POINTS)
        assert row["cd"] == pytest.approx(cd)
        assert row["hd"] == pytest.approx(hd)
        assert row["bits_per_point"] == pytest.approx(8 * row["bytes"] / 1200)
        assert row["bytes"] == min(row["files"].values()) == row["files"][row["stored"]]
    json.dumps(trip.facts)


def test_the_bytes_are_those_of_the_files(trip, tmp_path):
    few = sample(Cloud(POINTS, metadata={"position_dtype": "float32"}), 8, bits=9)
    row = next(row for row in trip.facts["rows"] if row["name"] == "fps+jet")
    for form, suffix in (("ply", ".ply"), ("laz", ".laz")):
        write(few, tmp_path / f"few{suffix}")
        assert row["files"][form] == os.stat(tmp_path / f"few{suffix}").st_size
    write(Cloud(POINTS, metadata={"position_dtype": "float32"}), tmp_path / "all.ply")
    assert trip.facts["original"]["bytes"] == os.stat(tmp_path / "all.ply").st_size


def test_what_is_recovered_comes_from_the_file(trip, tmp_path):
    write(sample(Cloud(POINTS, metadata={"position_dtype": "float32"}), 8, bits=9), tmp_path / "few.ply")
    expected = recover(read(tmp_path / "few.ply"), model="jet")
    np.testing.assert_array_equal(trip.recovered["fps+jet"], expected.positions)


def test_without_bits_samples_are_plain_ply():
    rows = roundtrip(POINTS, n=150).facts["rows"]
    for row in rows[:2]:
        assert (row["stored"], list(row["files"]), row["points"], row["bits"]) == ("ply", ["ply"], 150, None)
        assert row["bytes"] == pytest.approx(150 * 12 + 350, abs=100)


def test_a_model_that_does_both(mine):
    trip = roundtrip(POINTS, models=[mine, f"random+{mine}"])
    assert [row["name"] for row in trip.facts["rows"]][:4] == [mine, f"random+{mine}", "fps+jet", "fps+jetnet"]
    assert trip.facts["sampled"] == 150  # the model's ratio is 8
    cold = roundtrip(POINTS, models=[mine], temperature=0)
    assert len(np.unique(cold.recovered[mine].round(9), axis=0)) == 150
    snapped = roundtrip(POINTS, models=[mine], temperature=0, snap=True).recovered[mine]
    assert {tuple(p) for p in snapped.round(5)} <= {tuple(p) for p in POINTS.astype(np.float32).astype(float).round(5)}


def test_each_model_is_loaded_once(mine, monkeypatch):
    real, seen = checkpoints._fitting, []
    monkeypatch.setattr(checkpoints, "_fitting", lambda path: seen.append(str(path)) or real(path))
    roundtrip(POINTS, models=[mine, f"random+{mine}"])
    assert seen.count(mine) == 1
    assert len(seen) == 2  # it, and jetnet


def test_without_a_model_for_the_ratio_the_others_stand():
    assert [row["name"] for row in roundtrip(POINTS, 3).facts["rows"]][:2] == ["fps+jet", "fps+jetnet"]


@pytest.mark.usefixtures("toy")
def test_random_weights_are_refused():
    rows: list = []
    with pytest.raises(OptionError, match=r"'toy'"):
        roundtrip(POINTS, 8, models=["toy"], on_row=rows.append)
    assert rows == []


@pytest.mark.usefixtures("halving")
def test_who_samples_and_who_recovers():
    assert sampler_and_recoverer("jet") == ("fps", "jet")
    assert sampler_and_recoverer("random+jet") == ("random", "jet")
    assert sampler_and_recoverer("halving") == ("halving", "halving")
    assert sampler_and_recoverer("halving+jet") == ("halving", "jet")
    for name, said in (("fps", "'fps'"), ("jet+jet", r"'jet\+jet'"), ("x+jet", "'x'"), ("jet --even", "even")):
        with pytest.raises(OptionError, match=said):
            sampler_and_recoverer(name)


def test_a_cloud_far_away_is_no_worse():
    here, far = (roundtrip(POINTS * 50 + shift, 8, bits=9).facts["rows"] for shift in (0, UTM))
    for a, b in zip(here, far, strict=True):
        assert a["cd"] == pytest.approx(b["cd"], rel=0.1)


def test_a_mesh_and_more_metrics(tmp_path):
    flat = np.concatenate([np.random.default_rng(0).uniform(0, 1, (600, 2)), np.full((600, 1), 0.25)], axis=1)
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]])
    row = roundtrip(flat, 3, mesh=square, emd=True, uniformity=True).facts["rows"][0]
    assert row["p2f_mean"] == pytest.approx(0.25, abs=1e-6)
    assert row["emd"] > 0
    assert list(row["uniformity"]) == list(evaluate(flat, flat, uniformity=True)["uniformity"])


# -- codecs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@pytest.mark.parametrize("bits", [1, 7, 14, 24])
@pytest.mark.parametrize("shift", [0, UTM], ids=["here", "utm"])
def test_codecs_give_the_grid_back(codec, bits, shift, tmp_path):
    pytest.importorskip({"draco": "DracoPy", "laz": "laspy"}[codec.name])
    points = POINTS * 50 + shift
    path, grid = codec.store(points, bits, tmp_path)
    found, cells = codec.read(path, grid), grid.cells(points)
    back = grid.cells(found)
    assert len(back) == len(cells)
    if codec.name == "laz":
        np.testing.assert_array_equal(back[np.lexsort(back.T)], cells[np.lexsort(cells.T)])
    else:  # float32, which may round to the next cell: hardly ever on coarse grids
        off = cKDTree(cells).query(back)[0]
        assert off.max() <= 2
        assert (off == 0).mean() > 0.99 or bits == 24
    assert codec.size(points, bits, tmp_path) == os.stat(path).st_size


def test_codecs_are_as_small_as_their_libraries_make_them(tmp_path):
    DracoPy, laspy = pytest.importorskip("DracoPy"), pytest.importorskip("laspy")
    plain = DracoPy.encode(POINTS.astype(np.float32), quantization_bits=10, compression_level=10)
    path, grid = Draco().store(POINTS, 10, tmp_path)
    assert len(path.read_bytes()) == pytest.approx(len(plain), rel=0.01)
    decoded = DracoPy.decode(plain).points
    a, b = (np.unique(grid.cells(p), axis=0) for p in (decoded, POINTS))
    assert (a[:, None] == b[None]).all(axis=-1).any(axis=1).mean() > 0.98  # float32 falls on the other side sometimes
    path, grid = LAZ().store(POINTS, 10, tmp_path)
    las = laspy.read(path)
    assert las.header.are_points_compressed
    assert len(las) == 1200
    las.write(tmp_path / "unsorted.laz")
    assert os.stat(path).st_size <= os.stat(tmp_path / "unsorted.laz").st_size


def test_equal_bytes(trip, tmp_path):
    rows = {row["name"]: row for row in trip.facts["rows"]}
    target = trip.facts["rows"][0]["bytes"]
    for codec in CODECS:
        full = rows[codec.name]
        assert full["points"] == len(trip.recovered[codec.name]) == 1200
        sizes = {bits: codec.size(POINTS, bits, tmp_path) for bits in (max(full["bits"] - 1, 1), full["bits"] + 1)}
        assert all(abs(full["bytes"] - target) <= abs(size - target) for size in sizes.values())
        if (thin := rows.get(f"fps+{codec.name}")) is not None:
            assert 0.93 * target < thin["bytes"] <= target
            assert thin["points"] == len(trip.recovered[f"fps+{codec.name}"]) < 1200
            assert thin["bits"] >= full["bits"]


def test_codecs_that_are_not_installed(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **options):
        if name.partition(".")[0] in ("DracoPy", "laspy"):
            raise ImportError(f"No module named '{name}'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    facts = roundtrip(POINTS, 8, bits=9).facts
    assert [row["name"] for row in facts["rows"]] == ["pointlie-x8", "pointlie-geo-x8", "fps+jet", "fps+jetnet"]
    assert facts["rows"][0]["stored"] == "ply"
    assert len(facts["skipped"]) == 2
    for said, words in zip(
        facts["skipped"], (("DracoPy", "pcsr-zoo[codecs]"), ("laspy", "pcsr-zoo[las]")), strict=True
    ):
        assert all(word in said for word in words)


def test_a_grid_by_hand():
    points = np.array([[1.0, 2, 3], [5, 2, 3], [2.9, 4, 3.4]])
    grid = Grid.of(points, 2)  # a cube of side 4 in 3 steps
    assert grid.step == pytest.approx(4 / 3)
    np.testing.assert_array_equal(grid.cells(points), [[0, 0, 0], [3, 0, 0], [1, 2, 0]])
    np.testing.assert_allclose(grid.points(np.array([[1, 2, 0]])), [[1 + 4 / 3, 2 + 8 / 3, 3]])
    assert grid.holds(points[:2])
    assert not grid.holds(points)


# -- what makes no sense --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "ratio"),
        ({"ratio": 0.5}, r" 0\.5"),
        ({"n": 1201}, "1201"),
        ({"ratio": 8, "bits": 30}, "bits"),
        ({"ratio": 8, "models": ["fps"]}, "'fps'"),
        ({"ratio": 8, "models": ["jett"]}, "'jett'"),
        ({"ratio": 8, "convention": "x"}, "convention 'x'"),
        ({"ratio": 8, "temperature": -1}, "temperature"),
    ],
)
def test_options_that_make_no_sense(options, message):
    rows: list = []
    with pytest.raises(OptionError, match=message):
        roundtrip(POINTS, on_row=rows.append, **options)
    assert rows == []


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scan(tmp_path):
    write(Cloud(POINTS), tmp_path / "scan.ply")
    return tmp_path / "scan.ply"


def test_the_command_prints_the_table_and_writes_both_files(scan):
    picture, figures = scan.with_name("p.png"), scan.with_name("f.json")
    out, err = run("roundtrip", scan, "-x", 8, "--bits", 9, "--picture", picture, "--json", figures, "-m", "midpoint")
    assert err == ""
    facts = json.loads(figures.read_text())
    lines = out.splitlines()
    assert all(words in lines[0] for words in (str(scan), "1,200 points", "pugan-2019"))
    (head,) = (number for number, line in enumerate(lines) if line.startswith("method"))
    assert lines[head].split()[-4:] == ["bpp", "CD", "HD", "s"]
    for key in ("cd", "hd"):  # the table and the JSON say what the numbers are
        assert any(line.strip() == f"{key.upper()}: {facts['units'][key]}" for line in lines[:head])
    for line, row in zip(lines[head + 1 :], facts["rows"], strict=False):
        words = line.split()
        assert words[:2] == [row["name"], row["stored"].upper()]
        assert words[4] == f"{row['bytes']:,}"
        assert words[6:8] == [f"{1000 * row['cd']:.4g}", f"{1000 * row['hd']:.4g}"]
    assert facts["rows"][0]["name"] == "midpoint"
    assert "The samples of midpoint: " in out
    with Image.open(picture) as image:
        assert image.width == 320 * (1 + len(facts["rows"]))


def test_the_command_takes_the_models_ratio(scan, mine):
    out, _ = run("roundtrip", scan, "-m", mine, "--mesh", _square(scan))
    head, first = out[out.index("\nmethod") :].splitlines()[1:3]
    assert first.split()[:4] == [mine, "PLY", "-", "150"]
    assert "P2F std" in head
    assert re.search(r"^  P2F: .*unit of the file", out, re.MULTILINE)


@pytest.mark.usefixtures("toy")
def test_the_command_refuses_random_weights(scan):
    assert "'toy'" in run("roundtrip", scan, "-x", 8, "-m", "toy", code=1)[1]


def _square(scan):
    path = scan.with_name("square.off")
    path.write_text("OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n")
    return path


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        ((), "-x RATIO or -n POINTS", 2),
        (("-x", 8, "-m", "fps"), "'fps'", 2),
        (("-x", 8, "-m", "nonsense"), "--model", 2),
        (("-x", 8, "-m", "jet+jet"), "'jet'", 2),
        (("-x", 0.5), "pcsr upsample -x 2", 2),
        (("-x", 8, "--bits", 0), "--bits", 2),
        (("-x", 8, "--convention", "x"), "--convention", 2),
        (("-x", 8, "--picture", "p.docx"), "p.docx", 1),
        (("-x", 8, "--json", "missing/f.json"), "missing", 1),
        (("-x", 8, "--json", "./p.png", "--picture", "p.png"), "--picture and --json", 2),
        (("-x", 8, "--device", "gpu9"), "--device", 2),
        (("-n", 5000), "-n 5,000", 1),
    ],
)
def test_bad_options_of_the_command(scan, options, said, code, monkeypatch):
    monkeypatch.chdir(scan.parent)
    assert said in run("roundtrip", "scan.ply", *options, code=code)[1]
    assert os.listdir(scan.parent) == ["scan.ply"]


def test_files_that_cannot_be_used(scan):
    before = scan.read_bytes()
    assert "square.off" in run("roundtrip", scan, "-x", 8, "--json", _square(scan), code=1)[1]
    assert "is an input" in run("roundtrip", scan, "-x", 8, "--json", scan, "--overwrite", code=1)[1]
    assert "missing.ply" in run("roundtrip", scan.with_name("missing.ply"), "-x", 8, code=1)[1]
    assert scan.read_bytes() == before


def test_an_error_names_the_file_and_comes_without_a_table(tmp_path):
    write(Cloud([[0.0, 0, 0]] * 9), tmp_path / "same.ply")
    out, err = run("roundtrip", tmp_path / "same.ply", "-x", 2, code=1)
    assert (out, err.count("same.ply")) == ("", 1)
