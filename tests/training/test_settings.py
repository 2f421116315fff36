"""Settings, configuration files, learning rates: what is given comes through, and every mistake is named."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.training import Settings
from pcsr_zoo.training.config import load_config, parse_yaml
from pcsr_zoo.training.log import time_text
from pcsr_zoo.training.optimizers import make_optimizer
from pcsr_zoo.training.schedule import rate_factor


def test_values_of_yaml_become_those_of_the_settings():
    found = Settings.of({"steps": "100", "lr": "1e-4", "precision": 32, "betas": [0.8, 0.9], "part_lr": {"critic": 1}})
    assert (found.steps, found.lr, found.precision) == (100, 1e-4, "32")
    assert (found.betas, found.part_lr) == ((0.8, 0.9), {"critic": 1.0})
    assert Settings.of(found.as_dict()) == found
    assert "workers" not in found.binding()
    assert found.binding()["lr"] == 1e-4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"leraning_rate": 1}, "unknown key 'leraning_rate'"),
        ({"stpes": 1}, "did you mean steps"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 1.5}, "steps must be a whole number, got 1.5"),
        ({"steps": True}, "steps must be a whole number"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"lr": -1}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"ema": 1}, "ema must be at least 0 and below 1"),
        ({"schedule": "linear"}, "schedule must be constant or cosine or step, got 'linear'"),
        ({"precision": "8"}, "precision must be 32 or bf16 or 16"),
        ({"betas": [1, 2]}, "betas must be two numbers"),
        ({"betas": 3}, "betas must be a list of numbers"),
        ({"milestones": [0.9, 0.1]}, "milestones must be fractions"),
        ({"part_lr": 3}, "part_lr must be a table"),
        ({"validate_first": 1}, "validate_first must be true or false"),
        ({"batch": 10, "accumulate": 4}, "batch (10) must be a multiple of accumulate (4)"),
        (7, "must be keys and values"),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(OptionError) as error:
        Settings.of(values, "a.yml: training")
    assert str(error.value).startswith("a.yml: training")
    assert message in str(error.value)


def test_a_configuration_file(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"x")
    (tmp_path / "a.yml").write_text(
        "model: toy\narguments: {width: 4}\ndata: d.npz\nrecipe: {noise: 1e-2}\ntraining:\n  lr: 2e-4\n  steps: 10\n"
    )
    found = load_config(tmp_path / "a.yml", ["training.steps=20", "recipe.points=[1, 2]", "training.clip=0"])
    assert found.model == "toy"
    assert found.arguments == {"width": 4}
    assert found.data == tmp_path / "d.npz"
    assert found.recipe == {"noise": 0.01, "points": [1, 2]}
    assert (found.settings.lr, found.settings.steps, found.settings.clip) == (2e-4, 20, 0)


@pytest.mark.parametrize(
    ("text", "change", "kind", "message"),
    [
        ("", None, FileError, "empty"),
        ("- 1\n- 2\n", None, FileError, r"a\.yml must"),
        ("model: [toy\n", None, FileError, "line 2: cannot be read as YAML"),
        ("model: toy\nmodel: tay\n", None, FileError, "line 2.*'model'"),
        ("modle: toy\ndata: d.npz\n", None, OptionError, "unknown key 'modle'; did you mean model"),
        ("model: toy\ndata: d.npz\nsteps: 3\n", None, OptionError, "'steps'; it belongs under 'training'"),
        ("data: d.npz\n", None, OptionError, "'model' is missing"),
        ("model: toy\n", None, OptionError, "'data' is missing"),
        ("model: toy\ndata: e.npz\n", None, FileError, "no file .*e.npz.*pcsr data build"),
        ("model: toy\ndata: d.npz\nrecipe: 3\n", None, OptionError, "'recipe' must be keys and values"),
        ("model: toy\ndata: d.npz\ntraining: {lr: 0}\n", None, OptionError, "a.yml: training: lr must be"),
        ("model: toy\ndata: d.npz\nimport: no_such_module_x\n", None, OptionError, "'no_such_module_x' cannot be"),
        ("model: toy\ndata: d.npz\nimport: {a: b}\n", None, OptionError, "'import' must be"),
        ("model: toy\ndata: d.npz\n", "lr=3", OptionError, "did you mean training.lr"),
        ("model: toy\ndata: d.npz\n", "training.lr", OptionError, "write key=value"),
        ("model: toy\ndata: d.npz\n", "model.x=3", OptionError, "'model'"),
        ("model: toy\ndata: d.npz\n", "training.lr=[1", FileError, "--set training.lr=.*YAML"),
    ],
)
def test_mistakes_in_configuration_files_are_named(tmp_path, text, change, kind, message):
    (tmp_path / "d.npz").write_bytes(b"x")
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(kind, match=message) as error:
        load_config(tmp_path / "a.yml", [change] if change else [])
    assert "a.yml" in str(error.value) or "--set" in str(error.value)
    with pytest.raises(FileError, match="gone"):
        load_config(tmp_path / "gone.yml")


def test_the_hint_at_missing_data_names_their_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, named in (("new", "new/d.npz"), ("my runs", '"my runs/d.npz"')):
        Path(folder).mkdir()
        Path(folder, "a.yml").write_text("model: toy\ndata: d.npz\n")
        with pytest.raises(FileError, match=f"pcsr data build MESHES... -o {named}$".replace("/", r"[/\\]")):
            load_config(f"{folder}/a.yml")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (6000, "1.67 h"), (1e5, "27.78 h")],
)
def test_times_have_a_fitting_unit(seconds, text):
    assert time_text(seconds / 3600) == text


def test_yaml_runs_nothing():
    with pytest.raises(FileError, match="YAML"):
        parse_yaml("!!python/object/apply:os.system ['true']", "x")
    assert parse_yaml("[1e-3, 1.5e3, -2E+4, 1e, 7, a1e3]", "x") == [1e-3, 1500.0, -2e4, "1e", 7, "a1e3"]


def test_the_cosine_may_fall_several_times():
    """Each fall is that of a schedule of its own, and the last step ends the last one."""
    twice, once = (Settings(steps=10 + 100 * k, warmup=10, lr_end=0.1, cycles=k) for k in (2, 1))
    for step in range(100):
        expected = rate_factor(once, 10 + step)
        assert rate_factor(twice, 10 + step) == pytest.approx(expected)
        assert rate_factor(twice, 110 + step) == pytest.approx(expected)
    assert rate_factor(twice, 210) == pytest.approx(0.1)


def test_rates_follow_their_formulas():
    cosine = Settings(steps=110, warmup=10, lr_end=0.1)
    assert [rate_factor(cosine, step) for step in range(10)] == pytest.approx([(k + 1) / 10 for k in range(10)])
    for step in (10, 35, 60, 109):
        x = (step - 10) / 100
        assert rate_factor(cosine, step) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * x)))
    steps = Settings(steps=100, warmup=0, schedule="step", decay=0.5, milestones=(0.5, 0.8))
    assert [rate_factor(steps, k) for k in (0, 49, 50, 79, 80, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rate_factor(Settings(schedule="constant"), 10_000) == 1


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_only_matrices_decay(name, kind):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    module[2].bias.requires_grad_(False)
    settings = Settings(optimizer=name, weight_decay=0.3, part_lr={"b": 0.5})
    optimizer = make_optimizer(module, "b", settings)
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    wanted = {"0.weight": 0.3, "2.weight": 0.3, "0.bias": 0, "1.weight": 0, "1.bias": 0}
    assert decay == {id(module.get_parameter(name)): value for name, value in wanted.items()}
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}
    assert make_optimizer(module, "a", settings).param_groups[0]["lr"] == settings.lr


def test_importing_training_is_cheap():
    code = (
        "import sys, pcsr_zoo.training; "
        "assert not {'torch', 'open3d', 'lightning_fabric', 'yaml', 'tensorboard'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_examples_are_good():
    """What examples/train says is understood; the data are the reader's."""
    from pcsr_zoo.models.registry import model_names, registered_class
    from pcsr_zoo.training.config import KEYS

    folder = Path(__file__).parents[2] / "examples/train"
    if not folder.is_dir():
        pytest.skip("the examples are not installed")
    files = sorted(folder.glob("*.yml"))
    assert files
    for file in files:
        values = parse_yaml(file.read_text(encoding="utf-8"), str(file))
        assert values.keys() <= set(KEYS)
        Settings.of(values["training"], str(file))
        if values["model"] in model_names():
            registered_class(values["model"])(**values.get("arguments", {})).recipe(**values.get("recipe", {}))
