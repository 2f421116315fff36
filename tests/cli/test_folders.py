"""Folders, names of outputs, standard streams, the limit on points, and marks of new points."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from cli_run import run
from model_contract import torus_cloud
from scipy.spatial import cKDTree

from pcsr_zoo import Cloud, read, write

FAST = ("-x", 2, "-m", "midpoint")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "deep" / "er").mkdir(parents=True)
    for name in ("a.ply", "b.xyz.gz", "deep/a.ply", "deep/er/c.pcd"):
        write(Cloud(torus_cloud(60)), tmp_path / "in" / name)
    (tmp_path / "in" / "notes.md").touch()
    return tmp_path / "in"


def made(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_subfolders_are_named_or_taken(folder) -> None:
    out = folder.parent / "out"
    said, _ = run("upsample", folder, *FAST, "-o", out)
    assert made(out) == ["a_x2.ply", "b_x2.xyz.gz"]
    last = said.splitlines()[-1]
    assert "2 of 2 files" in last
    assert "deep" in last
    assert "--recursive" in last
    assert "notes.md" in last
    said, _ = run("upsample", folder, *FAST, "-o", folder / "out", "--recursive")
    assert made(folder / "out") == ["a_x2.ply", "b_x2.xyz.gz", "deep/a_x2.ply", "deep/er/c_x2.pcd"]
    said, _ = run("upsample", folder, *FAST, "-o", folder / "out", "--recursive", "--overwrite")
    assert "4 of 4 files" in said.splitlines()[-1]  # the results are no inputs


def test_links_in_a_circle_end(folder) -> None:
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    said, _ = run("upsample", folder, *FAST, "-o", folder.parent / "out", "--recursive")
    assert "4 of 4 files" in said


def test_templates(folder) -> None:
    for _ in range(2):
        said, _ = run("upsample", folder, *FAST, "--name", "{stem}-{ratio}{suffix}", "--overwrite")
        assert "2 of 2 files" in said
    run("sample", folder / "a.ply", "-n", 20, "-m", "random", "--name", "{stem}_{n}.laz")
    assert {"a-2.ply", "b-2.xyz.gz", "a_20.laz"} < set(made(folder))
    assert len(read(folder / "a_20.laz")) == 20
    for name in (
        "{stem}",
        "x/{stem}{suffix}",
        "{nothing}{suffix}",
        "{stem.__class__}.ply",
        "{stem",
        "{stem!r}.ply",
        "",
    ):
        _, said = run("upsample", folder / "a.ply", *FAST, "--name", name, code=2)
        assert "--name" in said
    _, said = run("upsample", folder, *FAST, "--name", "same.ply", code=2)
    assert "{stem}" in said
    run("upsample", folder / "a.ply", *FAST, "--name", "{stem}{suffix}", "--overwrite", code=1)  # the input itself
    run("upsample", folder / "a.ply", *FAST, "--name", "{stem}.ply", "-o", folder / "b.ply", code=2)


def test_a_new_folder_for_one_file(folder) -> None:
    run("upsample", folder / "a.ply", *FAST, "-o", folder.parent / "new")
    assert made(folder.parent / "new") == ["a_x2.ply"]
    run("upsample", folder / "a.ply", *FAST, "-o", folder.parent / "new.plz", code=2)


def test_streams(folder) -> None:
    def pcsr(*arguments, data=b""):
        command = [sys.executable, "-m", "pcsr_zoo", *map(str, arguments)]
        return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)

    points = torus_cloud(60)
    done = pcsr(
        "sample", "-.csv", "-x", 2, "-m", "random", data=b"x,y,z\n" + b"".join(b"%f,%f,%f\n" % tuple(p) for p in points)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"x,y,z\n")
    assert done.stdout.count(b"\n") == 31
    done = pcsr("sample", folder / "a.ply", "-x", 2, "-m", "random", "-o", "-.laz")
    again = pcsr("recover", "-", "-m", "midpoint", "-o", folder / "r.ply", data=done.stdout)
    assert again.returncode == 0, again.stderr
    assert len(read(folder / "r.ply")) == 60  # the recovery note came along
    for data in (b"", b"\0\1\2\3", b"ply\n", b"x y\n1 2\n"):
        done = pcsr("info", "-", data=data)
        assert done.returncode == 1
        assert b"standard input" in done.stderr
        assert done.stderr.count(b"\n") == 1
    assert pcsr("upsample", folder, "-x", 2, "-o", "-").returncode == 2
    for command in (("upsample", "-x", 2, "-o", "-.nothing"), ("mesh", "-o", "-.ply"), ("mesh", "-o", "-")):
        assert pcsr(command[0], folder / "a.ply", *command[1:]).returncode == 2


def test_max_points(folder) -> None:
    out = folder / "capped.ply"
    for limit, count in ((90, 90), (500, 120), (20, 60)):
        run("upsample", folder / "a.ply", *FAST, "--max-points", limit, "-o", out, "--overwrite")
        assert len(read(out)) == count
    run("upsample", folder / "a.ply", "-n", 90, "--max-points", 90, "-o", out, "--overwrite", code=2)


@pytest.mark.parametrize("number", range(11))
def test_new_points_of_las_are_synthetic(tmp_path, number: int) -> None:
    """The flag is read by laspy, and the distances are those of a k-d tree."""
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=number, version="1.4" if number > 5 else "1.3")
    header.scales = [0.0001] * 3
    las = laspy.LasData(header)
    las.x, las.y, las.z = torus_cloud(60).T
    las.intensity = np.arange(60)
    las.write(str(tmp_path / "a.las"))
    run("upsample", tmp_path / "a.las", "-x", 3, "-m", "midpoint", "--distance", "-o", tmp_path / "b.laz")
    back = laspy.read(str(tmp_path / "b.laz"))
    assert back.point_format.id == number
    assert np.asarray(back.synthetic).tolist() == [0] * 60 + [1] * 120
    distance = cKDTree(laspy.read(str(tmp_path / "a.las")).xyz).query(back.xyz)[0]
    np.testing.assert_allclose(back["distance_to_measured"], distance, atol=2e-4)
    if number == 6:
        run("recover", tmp_path / "b.laz", "-x", 2, "-m", "midpoint", "-o", tmp_path / "c.ply")
        again = read(tmp_path / "c.ply")
        assert again.attributes["synthetic"].sum() == 300  # of both runs
        measured = again.positions[again.attributes["synthetic"] == 0]
        distance = cKDTree(measured).query(again.positions)[0]
        np.testing.assert_allclose(again.attributes["distance_to_measured"], distance, atol=2e-4)


def test_marks_elsewhere(folder) -> None:
    run("upsample", folder / "a.ply", *FAST, "-o", folder / "b.ply")
    assert not read(folder / "b.ply").attributes
    run("upsample", folder / "a.ply", *FAST, "--distance", "-o", folder / "c.ply")
    assert read(folder / "c.ply").attributes["synthetic"].sum() == 60
    run("upsample", folder / "a.ply", *FAST, "-o", folder / "d.las")
    assert read(folder / "d.las").attributes["synthetic"].sum() == 60
    run("sample", folder / "d.las", "-x", 2, "-m", "random", "-o", folder / "e.las")
    assert 0 < read(folder / "e.las").attributes["synthetic"].sum() < 60
