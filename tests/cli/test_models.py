"""`pcsr models`, and commands that take a checkpoint's folder as a model."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_run import run
from toy_model import toy, trained  # noqa: F401

from pcsr_zoo import list_models, load, model_info
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.cli.models import _table
from pcsr_zoo.cli.trial import distance_to_torus, torus

POINTS = np.random.default_rng(0).normal(size=(50, 3))

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """Checkpoints that came with the package, in place of its own."""
    root = tmp_path / "hub_configs"
    save_with_card(root / "toy-x2", trained(1), name="toy-x2", summary="a better toy", license="MIT")
    save_with_card(root / "toy-x8", trained(2, width=4), name="toy-x8")
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    return root


def test_commands_take_a_folder(tmp_path):
    folder = save_with_card(tmp_path / "runs" / "mine", trained())
    cloud, nothing = tmp_path / "a.xyz", tmp_path / "nothing"
    np.savetxt(cloud, POINTS)
    out, _ = run("upsample", cloud, "-x", 3, "-m", folder, "-o", tmp_path / "b.npy")
    assert "50 -> 150 points" in out
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), load(folder).upsample(np.loadtxt(cloud), 3))
    assert "pcsr upsample" in run("sample", cloud, "-x", 3, "-m", folder, code=2)[1]
    assert str(nothing) in run("upsample", cloud, "-x", 3, "-m", nothing, code=1)[1]
    benchmark = ("benchmark", "--data", tmp_path, "--task", "up4", "--model")
    assert str(nothing) in run(*benchmark, f"fps+{nothing}", code=1)[1]
    assert "gt_8192" in run(*benchmark, folder, code=1)[1]  # the test set is missing, the model is not


def test_models_are_listed(package):
    lines = {line.split()[0]: line for line in run("models")[0].splitlines()}
    size = (package / "toy-x2" / "model.safetensors").stat().st_size
    shown = ["toy-x2", "upsample", "recover", "any", f"{size / 1e3:.1f}", "kB", "MIT", "package", "a better toy"]
    assert lines["toy-x2"].split(None, 8) == shown
    assert lines["pointlie"].split()[1:8] == ["sample", "upsample", "recover", "x4", "x8", "x16", "untrained"]
    assert lines["jet"].split()[1:4] == ["upsample", "recover", "any"]
    assert lines["model"].split()[:4] == ["model", "tasks", "ratio", "size"]  # the header
    out, _ = run("models", "toy-x2")
    digest = read_config(package / "toy-x2")["sha256"]
    for words in ("a better toy", "parameters: 75", f"sha256: {digest}", "source: nobody, 2000"):
        assert words in out
    rows = {row["name"]: row for row in json.loads(run("models", "--json")[0])}
    assert rows["toy-x8"]["parameters"] == 3 * 4 + 4 + 2 * 4 + 4 * 3 + 3


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_table_has_all_of_its_columns_on_any_terminal(package, monkeypatch, capsys, columns):
    best = {"task": "pcsr16", "convention": "pugan-2019", "cd": 0.493, "jet": 0.458}
    rows = [{**model_info(name), "best": best, "license": "CC-BY-NC-4.0"} for name in list_models()]
    rows = [{**row, "summary": "long " * 60} for row in rows]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    _table(rows)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= columns
    for row in rows:
        (line,) = re.findall(rf"^{re.escape(row['name'])} .*(?:\n  .*)?", said, re.MULTILINE)
        assert all(words in line for words in {"pcsr16 0.493 (0.458)", "long", *row["tasks"]}), line
        assert "weights" not in row or all(words in line for words in ("CC-BY-NC-4.0", "kB", "package")), line


def test_an_unknown_name_gets_near_ones():
    assert "jetnet" in run("models", "jetnett", code=1)[1]
    assert "'nothing*'" in run("models", "nothing*", code=1)[1]


def test_a_folder_is_shown_and_tried(tmp_path):
    folder = save_with_card(tmp_path / "runs" / "mine", trained(), name="mine-x2", license="MIT")
    out, _ = run("models", folder)
    assert out.splitlines()[0] == "mine-x2"
    assert "license: MIT" in out
    out, _ = run("models", "try", folder, "-x", 2)
    assert re.findall(r"(\w+): ([\d,]+) -> ([\d,]+) points", out) == [
        ("upsample", "2,048", "4,096"),
        ("recover", "1,024", "2,048"),
    ]
    assert str(tmp_path / "none") in run("models", "try", tmp_path / "none", code=1)[1]


def test_a_trial_measures_the_distance_to_the_surface():
    """Against points of the torus moved along its normals by a known distance."""
    u, v = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 500))
    normals = np.stack([np.cos(v) * np.cos(u), np.cos(v) * np.sin(u), np.sin(v)], axis=1)
    ring = 0.7 * np.stack([np.cos(u), np.sin(u), 0 * u], axis=1)
    for offset in (-0.1, 0.0, 0.2):
        found = distance_to_torus(ring + (0.3 + offset) * normals)
        np.testing.assert_allclose(found, abs(offset), atol=1e-12)
    points = torus(0)
    assert points.shape == (2048, 3)
    np.testing.assert_allclose(distance_to_torus(points), 0, atol=1e-12)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=0.01)
