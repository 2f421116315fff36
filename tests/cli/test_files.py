"""Which files of a folder are inputs, and which are results of an earlier run of this or another command."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_run import run
from model_contract import torus_cloud

from pcsr_zoo import Cloud, write


@pytest.fixture
def folder(tmp_path):
    for name in ("a.ply", "b.xyz", "lucky_draw7.ply"):
        write(Cloud(torus_cloud(60)), tmp_path / name)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_draws_of_an_earlier_run_are_no_inputs(folder):
    command = ("recover", folder, "-x", 2, "-m", "midpoint", "--overwrite", "--draws")
    stems = ("a_recovered_x2{}.ply", "b_recovered_x2{}.xyz", "lucky_draw7_recovered_x2{}.ply")
    three, one = ([stem.format(end) for stem in stems for end in ends] for ends in (["_draw1", "_draw2"], [""]))
    inputs = names(folder)
    for draws, made in ((2, three), (2, three), (1, three + one), (2, three + one)):
        out, _ = run(*command, draws)
        assert names(folder) == sorted(inputs + made)
        assert out.count(" points in ") == 3 * draws  # the cloud whose own name is like that of a draw, too


@pytest.mark.parametrize("relative", [False, True])
def test_results_are_no_inputs_however_the_folder_is_called(folder, monkeypatch, relative):
    monkeypatch.chdir(folder)
    given, output = (Path(), folder) if relative else (folder, Path("."))
    for _ in range(2):
        out, _ = run("upsample", given, "-x", 2, "-m", "midpoint", "-o", output, "--overwrite")
        assert out.count("60 -> 120 points") == 3
    assert len(names(folder)) == 6


def test_a_draw_that_is_named_is_an_input(folder):
    run("recover", folder / "a.ply", "-x", 2, "-m", "midpoint", "--draws", 2)
    out, _ = run("recover", folder / "a.ply", folder / "a_recovered_x2_draw1.ply", "-x", 2, "-m", "midpoint")
    assert "a_recovered_x2_draw1_recovered_x2.ply: 120 -> 240 points" in out


def test_results_of_other_runs_are_left_out_and_named(folder):
    """Of another ratio, count or command; recovery takes samples, and a named file is always used."""
    for command in (("upsample", "-x", 2.5), ("upsample", "-n", 90), ("sample", "-x", 2)):
        run(command[0], folder / "a.ply", *command[1:], *(["-m", "midpoint"] if command[0] == "upsample" else []))
    assert "a_x2.5.ply" in names(folder)
    out, _ = run("upsample", folder, "-x", 3, "-m", "midpoint")
    assert out.count("60 -> 180 points") == 3
    assert "a_n90.ply and 2 more" in out
    assert "90 -> 180 points" in run("upsample", folder / "a_n90.ply", "-x", 2, "-m", "midpoint")[0]
    (folder / "only").mkdir()
    for name in ("a.ply", "a_sampled_x2.ply"):
        (folder / name).rename(folder / "only" / name)
    out, _ = run("recover", folder / "only", "-m", "midpoint", "-x", 2)
    assert "a_sampled_x2_recovered_x2.ply: 30 -> 60 points" in out
    write(Cloud(torus_cloud(60)), folder / "only" / "c_x4.ply")  # no other file has the name c
    assert "c_x4_x2.ply" in run("upsample", folder / "only", "-x", 2, "-m", "midpoint")[0]
