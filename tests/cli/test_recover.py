"""`pcsr sample` and `pcsr recover` on files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cli_run import run
from halving import Halving, halving  # noqa: F401
from model_contract import torus_cloud, with_attributes

from pcsr_zoo import Cloud, read, recover, sample, write
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.folder import read_config


@pytest.fixture
def scan(tmp_path):
    write(Cloud(torus_cloud(800), with_attributes(torus_cloud(800)).attributes), tmp_path / "scan.ply")
    return tmp_path / "scan.ply"


@pytest.fixture(params=["mine", "pointlie", "halving"])
def mine(request, halving, tmp_path_factory):  # noqa: F811
    """A checkpoint in a folder, whose name no checkpoint of this version has, though a class may have it."""
    return save_with_card(tmp_path_factory.mktemp("runs") / "best", Halving(), name=request.param)


@pytest.fixture
def ours(halving, tmp_path_factory, monkeypatch):  # noqa: F811
    """A checkpoint that this version knows by its name, "halving-x8"."""
    root = tmp_path_factory.mktemp("hub_configs")
    for name, folder in shipped.bundled().items():
        (root / name).symlink_to(folder)
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    return save_with_card(root / "halving-x8", Halving(), name="halving-x8")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_sample_then_recover_and_nothing_else_said(scan):
    run("sample", scan, "-x", 8)
    out, err = run("recover", scan.with_name("scan_sampled_x8.ply"))
    assert err == ""
    assert "scan_sampled_x8_recovered.ply: 100 -> 800 points in " in out
    assert out.rstrip().endswith("(jetnet)")
    dense, few = read(scan.with_name("scan_sampled_x8_recovered.ply")), read(scan.with_name("scan_sampled_x8.ply"))
    assert len(dense) == 800
    assert list(dense.attributes) == list(few.attributes)
    assert {name: a.dtype for name, a in dense.attributes.items()} == {
        name: a.dtype for name, a in few.attributes.items()
    }
    np.testing.assert_array_equal(dense.positions[:100], few.positions)
    assert "pcsr" not in dense.metadata


@pytest.mark.parametrize("suffix", [".ply", ".xyz"])
def test_sample_prints_the_sizes_of_the_files(scan, suffix):
    small = scan.with_name(f"small{suffix}")
    out, _ = run("sample", scan, "-n", 100, "-o", small)
    before, after = os.stat(scan).st_size, os.stat(small).st_size
    if suffix == ".xyz":  # the note beside it counts
        after += os.stat(f"{small}.pcsr.json").st_size
    said = out.splitlines()[1].strip()
    assert said == f"{before:,} -> {after:,} bytes ({after / before:.0%}), {8 * after / 800:.2f} bits per input point"
    assert (f"{small}.pcsr.json" in out) == (suffix == ".xyz")  # the file that must be kept beside it


def test_a_mesh_has_no_bits_per_point(tmp_path):
    faces = "3 0 1 2\n3 0 3 1\n3 0 2 3\n3 1 3 2\n"
    (tmp_path / "tetra.off").write_text(f"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n{faces}")
    out, _ = run("sample", tmp_path / "tetra.off", "-x", 4, "--points", 160)
    size = os.stat(tmp_path / "tetra_sampled_x4.ply").st_size
    said = f"{size:,} bytes, {8 * size / 160:.2f} bits per input point"
    assert out.splitlines()[1].strip() == said


def test_bits_and_snap_reach_the_file(scan, ours):
    out, _ = run("sample", scan, "-x", 4, "--bits", 9, "--snap", "-m", "halving-x8", "-o", scan.with_name("s.ply"))
    few = read(scan.with_name("s.ply"))
    expected = sample(read(scan), 4, bits=9, snap=True, model=Halving())
    np.testing.assert_allclose(few.positions, expected.positions, rtol=1e-6)
    assert few.metadata["pcsr"]["bits"] == 9
    assert few.metadata["pcsr"]["model"] == "halving-x8"
    assert "800 -> 200 points" in out
    run("recover", scan.with_name("s.ply"))
    assert len(read(scan.with_name("s_recovered.ply"))) == 800


def test_a_model_of_one_ratio_needs_none(scan, ours):
    run("sample", scan, "-m", "halving-x8")
    few = read(scan.with_name("scan_sampled_x8.ply"))
    assert len(few) == 100
    assert few.metadata["pcsr"]["model"] == "halving-x8"
    _, err = run("sample", scan, "-m", "fps", code=2)
    assert "-x RATIO or -n POINTS" in err


def test_a_checkpoint_of_ones_own_has_to_be_named_to_recover(scan, mine):
    run("sample", scan, "-m", mine, "-o", scan.with_name("s.ply"))
    note = read(scan.with_name("s.ply")).metadata["pcsr"]
    weights = f"sha256:{read_config(mine)['sha256']}"
    assert (note["model"], note["sampler"], note["weights"]) == (read_config(mine)["name"],) * 2 + (weights,)
    out, err = run("recover", scan.with_name("s.ply"), code=1)
    assert out == ""
    assert str(scan.with_name("s.ply")) in err
    assert f"'{note['model']}' ({weights[:19]}" in err
    assert "-m FOLDER" in err
    assert names(scan.parent) == ["s.ply", "scan.ply"]
    out, err = run("recover", scan.with_name("s.ply"), "-m", mine)
    assert (err, "100 -> 800 points" in out) == ("", True)
    assert names(scan.parent) == ["s.ply", "s_recovered.ply", "scan.ply"]


@pytest.mark.parametrize("task", ["sample", "recover"])
def test_a_model_is_loaded_once_for_a_folder(scan, ours, monkeypatch, task):
    """... the one that is named, and each one that the files remember."""
    folder = scan.parent / "many"
    folder.mkdir()
    for k in range(3):
        write(read(scan) if task == "sample" else sample(read(scan), model=ours), folder / f"{k}.ply")
        write(read(scan) if task == "sample" else sample(read(scan), 8), folder / f"{k}_by_fps.ply")
    real, seen = checkpoints._fitting, []
    monkeypatch.setattr(checkpoints, "_fitting", lambda path: seen.append(path.name) or real(path))
    out, _ = run(task, folder, *(("-m", "halving-x8") if task == "sample" else ()))
    assert out.count(" points in ") == 6
    assert sorted(seen) == (["halving-x8"] if task == "sample" else ["halving-x8", "jetnet"])


def test_recover_as_it_is_told(scan):
    run("sample", scan, "-x", 8)
    small = scan.with_name("scan_sampled_x8.ply")
    out, _ = run("recover", small, "-n", 333, "-m", "jet", "--seed", 4, "-o", scan.with_name("a.xyz"))
    expected = recover(read(small), n=333, model="jet", seed=4)
    np.testing.assert_allclose(read(scan.with_name("a.xyz")).positions, expected.positions, atol=1e-6)
    assert "(jet)" in out
    run("recover", small, "-x", 2.5, "-m", "midpoint")
    assert len(read(scan.with_name("scan_sampled_x8_recovered_x2.5.ply"))) == 250


@pytest.mark.usefixtures("ours")
def test_draws(scan):
    run("sample", scan, "-m", "halving-x8", "-o", scan.with_name("s.ply"))
    out, _ = run("recover", scan.with_name("s.ply"), "--draws", 2, "--temperature", 0.5, "--seed", 3)
    assert names(scan.parent) == ["s.ply", "s_recovered_draw1.ply", "s_recovered_draw2.ply", "scan.ply"]
    assert len(out.splitlines()) == 2
    for draw in (1, 2):
        expected = recover(read(scan.with_name("s.ply")), seed=2 + draw, temperature=0.5)
        found = read(scan.with_name(f"s_recovered_draw{draw}.ply"))
        np.testing.assert_allclose(found.positions, expected.positions, atol=1e-6)
    assert "s_recovered_draw1.ply" in run("recover", scan.with_name("s.ply"), "--draws", 3, code=1)[1]
    assert len(names(scan.parent)) == 4


def test_several_files_and_a_folder(scan):
    run("sample", scan, "-x", 8, "-o", scan.with_name("small.ply"))
    run("sample", scan, "-x", 4, "-o", scan.with_name("fewer.npz"))
    out, _ = run("recover", scan.with_name("small.ply"), scan.with_name("fewer.npz"), "-o", scan.parent / "dense")
    assert names(scan.parent / "dense") == ["fewer_recovered.npz", "small_recovered.ply"]
    assert out.count("-> 800 points") == 2


def test_a_changed_checkpoint_is_told(scan, ours):
    run("sample", scan, "-m", "halving-x8", "-o", scan.with_name("s.ply"))
    assert run("recover", scan.with_name("s.ply"))[1] == ""
    changed = Halving()
    changed.network.weight.data.fill_(0.03)
    before = read_config(ours)["sha256"]
    save_with_card(ours, changed, name="halving-x8")
    _, err = run("recover", scan.with_name("s.ply"), "--overwrite")
    assert err.startswith("Warning: ")
    assert "'halving-x8'" in err
    for weights in (before, read_config(ours)["sha256"]):
        assert f"sha256:{weights[:12]}" in err
    assert run("recover", scan.with_name("s.ply"), "--overwrite", "-m", "halving-x8")[1] == ""


@pytest.mark.parametrize(
    ("command", "options", "said", "code"),
    [
        ("recover", (), "-x", 1),
        ("recover", ("-x", 2, "-n", 5), "-x RATIO or -n POINTS", 2),
        ("recover", ("-x", 0.5), "pcsr sample -x 2", 2),
        ("recover", ("-n", 5), "pcsr sample -n 5", 1),
        ("recover", ("-x", 2, "--model", "fps"), "pcsr sample", 2),
        ("recover", ("-x", 2, "--model", "jett"), "'jett'", 2),
        ("recover", ("-x", 2, "--draws", 0), "--draws", 2),
        ("recover", ("-x", 2, "--temperature", -1), "--temperature", 2),
        ("recover", ("-x", 2, "--device", "gpu9"), "--device", 2),
        ("recover", ("-x", 2, "-o", "out.docx"), "-o", 2),
        ("sample", ("-x", 2, "--bits", 0), "--bits", 2),
        ("sample", ("-x", 2, "--bits", 25), "--bits", 2),
        ("sample", ("-x", 2, "--bits", "many"), "--bits", 2),
    ],
)
def test_options_that_make_no_sense(scan, command, options, said, code):
    out, err = run(command, scan, *options, code=code)
    assert said in err
    assert out == ""
    assert names(scan.parent) == ["scan.ply"]


def test_files_that_cannot_be_recovered(tmp_path):
    (tmp_path / "broken.ply").write_bytes(b"ply\nformat ascii 1.0\nelement ver")
    for name in ("broken.ply", "missing.ply"):
        assert name in run("recover", tmp_path / name, "-x", 2, code=1)[1]
    assert names(tmp_path) == ["broken.ply"]
