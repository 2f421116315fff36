"""The queue of trainings: its order, its state, and that a killed queue ends with the same weights."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from click.testing import CliRunner

from pcsr_zoo.checkpoints.folder import is_checkpoint, read_config
from pcsr_zoo.cli import main as pcsr

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "weights.py"
if not SCRIPT.is_file():
    pytest.skip("the queue comes with the checkout", allow_module_level=True)

SMALL = {
    "model": "jetnet",
    "data": "train.npz",
    "recipe": {"points": [100, 120]},
    "training": {"steps": 6, "batch": 1, "lr": 1e-3, "warmup": 0, "validate_every": 6, "save_every": 2, "workers": 0},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A training file of generated shapes."""
    path = tmp_path_factory.mktemp("data") / "train.npz"
    made = CliRunner().invoke(pcsr, ["data", "build", "--generated", "2", "--points", "2048", "-o", str(path)])
    assert made.exit_code == 0, made.output
    return path


@pytest.fixture
def queue(data, tmp_path, monkeypatch) -> ModuleType:
    """The script with two small trainings, `late` and `early`."""
    spec = importlib.util.spec_from_file_location("weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "weights", module)
    spec.loader.exec_module(module)
    for name, priority in (("late", 2), ("early", 1)):
        folder = tmp_path / "configs" / name
        folder.mkdir(parents=True)
        section = {"priority": priority, "hours": 0.5, "tasks": ["up4"]}
        (folder / "train.yml").write_text(yaml.safe_dump({**SMALL, "queue": section}))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(module.Job, "data", data)
    monkeypatch.setattr(module, "_environment", lambda: {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    return module


def test_every_shipped_training_is_in_the_queue():
    """With the time that it takes and the tasks that its card shows."""
    for path in (ROOT / "hub_configs").glob("*/train.yml"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert values["queue"]["hours"] > 0, path
        if not is_checkpoint(path.parent):
            continue  # no weights yet
        rows = read_config(path.parent)["about"]["measured"]
        tasks = set(values["queue"]["tasks"])
        assert tasks & {row["task"] for row in rows} or not (tasks or rows), path


def test_the_list_shows_order_state_and_command(queue):
    shown = CliRunner().invoke(queue.main, ["--list"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("early") < shown.output.index("late")
    assert "--only late" in shown.output
    wrong = CliRunner().invoke(queue.main, ["--only", "nobody"])
    assert wrong.exit_code == 2
    assert "nobody" in wrong.output


def test_a_killed_queue_ends_with_the_weights_of_one_that_was_not(queue, tmp_path):
    """Killed in the middle of a step; the process that trains is killed, too, or goes on and is waited for."""
    early, late = queue.jobs()
    assert (early.name, late.name) == ("early", "late")
    assert queue.run([late], 1, None, None) == 0
    assert late.trained
    process = subprocess.Popen(early.train_command(), env=queue._environment(), stdout=subprocess.DEVNULL)
    while early.step == 0 and not (early.folder / "state" / "last.pt").is_file():
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not early.trained
    assert queue.run([early], 1, None, None) == 0
    assert read_config(early.folder)["sha256"] == read_config(late.folder)["sha256"]
    assert early.state() == "trained"


def test_hours_stop_the_queue(queue):
    job = queue.jobs()[0]
    assert queue.run([job], 1, 0.0, None) == 0
    assert job.state() == "not started"


def test_a_training_that_fails_is_named(queue, capfd):
    job = queue.jobs()[0]
    values = yaml.safe_load(job.config.read_text())
    job.config.write_text(yaml.safe_dump({**values, "recipe": {"nonsense": 1}}))
    assert queue.run([job], 1, None, None) == 1
    assert "early" in capfd.readouterr().err
    assert "nonsense" in (queue.RUNS / "early.log").read_text()
