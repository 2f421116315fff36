"""Which files of a folder are inputs, and which are what an earlier run of the same command made of them."""

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
