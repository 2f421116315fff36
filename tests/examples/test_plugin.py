"""examples/plugin: somebody else's package, installed beside ours, and its model used by name."""

# ruff: noqa: F811 - the fixture of small_test_set is imported and asked for by name

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_test_set import root  # noqa: F401

from pcsr_zoo import Cloud, read, write
from pcsr_zoo.metrics import evaluate

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "examples" / "plugin"
if not PLUGIN.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)
pytest.importorskip("hatchling")  # builds it


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder that pip installed it into."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder / "source")], check=True, timeout=300)
    return folder / "site"


def pcsr(installed: Path, folder: Path, *words: object) -> str:
    """What the command prints, in a process that finds the plugin."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, "-m", "pcsr_zoo", *(str(word) for word in words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed(installed, tmp_path):
    rows = {row["name"]: row for row in json.loads(pcsr(installed, tmp_path, "models", "--json"))}
    assert rows["thirds"]["tasks"] == ["upsample", "recover"]
    assert "jetnet" in rows
    assert "\nthirds " in pcsr(installed, tmp_path, "models")


def test_it_upsamples(installed, tmp_path):
    """A row of three points: two more on each edge, of which there are three."""
    line = np.array([[0.0, 0, 0], [3, 0, 0], [9, 0, 0]])
    write(Cloud(line), tmp_path / "scan.ply")
    pcsr(installed, tmp_path, "upsample", "scan.ply", "-n", 9, "-m", "thirds", "-o", "dense.ply", "--keep-input")
    found = read(tmp_path / "dense.ply").positions
    np.testing.assert_allclose(np.sort(found[3:, 0]), [1, 2, 3, 5, 6, 7], atol=1e-5)


def test_it_is_benchmarked(installed, root, tmp_path):
    """The distances of one shape are those of the cloud that it makes of this shape."""
    words = ("--data", root, "--task", "up4", "-m", "thirds", "--json", "up4.json")
    assert "thirds" in pcsr(installed, tmp_path, "benchmark", *words)
    section = json.loads((tmp_path / "up4.json").read_text())["tasks"]["up4"]
    shape = section["models"]["thirds"]["per_shape"]["ball"]
    given, truth = root / "pugan" / "input_2048" / "ball.xyz", root / "pugan" / "gt_8192" / "ball.xyz"
    pcsr(installed, tmp_path, "upsample", given, "-n", 8192, "-m", "thirds", "-o", "ball.ply")
    found = evaluate(read(tmp_path / "ball.ply"), read(truth))
    assert shape["cd"] == pytest.approx(1000 * found["cd"], rel=1e-4)
    assert shape["hd"] == pytest.approx(1000 * found["hd"], rel=1e-4)
