"""Fine-tuning on data of one's own, and the commands `pcsr train` and `pcsr finetune`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from toy_training import QUICK, ToyPatches, cube, one_thread, sphere, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import read_config, save_checkpoint
from pcsr_zoo.cli import main
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.training import finetune, train
from pcsr_zoo.training.own_data import single_scan, training_file

silent = [].append


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A trained checkpoint."""
    folder = tmp_path_factory.mktemp("base")
    data = write_toy_data(folder / "toy.npz")
    train("toy-patches", data, folder / "r", settings={**QUICK, "steps": 30}, recipe={"jitter": 0.02}, device="cpu")
    return folder / "r"


# -- fine-tuning


def test_fine_tuning_on_one_scan(base, tmp_path):
    pcsr_zoo.write(Cloud(sphere(2000)[0]), tmp_path / "scan.ply")
    lines = []
    settings = {"steps": 30, "lr": 1e-3, "workers": 0}
    outcome = finetune(str(base), [tmp_path / "scan.ply"], tmp_path / "mine", settings=settings, report=lines.append)
    assert outcome.before.keys() == outcome.figures.keys() == {"chamfer"}
    assert outcome.figures["chamfer"] <= outcome.before["chamfer"]
    assert any("no shape is held out" in line for line in lines)
    assert any(line.startswith("held-out chamfer: ") and "before" in line and "after" in line for line in lines)
    config = read_config(tmp_path / "mine")
    about = config["about"]
    assert config["name"] == "toy-patches-finetuned"
    assert (about["parent"], about["parent_sha256"]) == ("toy-patches", read_config(base)["sha256"])
    assert about["recipe"] == {"jitter": 0.02}  # as the checkpoint was trained
    assert about["settings"]["batch"] == 4
    assert about["settings"]["ema"] == 0.99
    assert about["data_file"]["shapes"] == 1
    # resumed: the same data are not made again, and all steps are done
    again = []
    second = finetune(str(base), [tmp_path / "scan.ply"], tmp_path / "mine", settings=settings, report=again.append)
    assert second.resumed == 30
    assert not any("making a training file" in line for line in again)
    twice = finetune(str(tmp_path / "mine"), [tmp_path / "scan.ply"], tmp_path / "third", settings={"steps": 1})
    assert twice.steps == 1
    assert read_config(tmp_path / "third")["name"] == "toy-patches-finetuned"


def test_what_is_no_better_is_not_kept(base, tmp_path):
    data = write_toy_data(tmp_path / "toy.npz")
    lines = []
    settings = {"steps": 20, "lr": 5.0, "warmup": 0, "clip": 0, "ema": 0, "workers": 0}
    outcome = finetune(str(base), [data], tmp_path / "bad", settings=settings, report=lines.append)
    assert outcome.step == 0
    assert outcome.last["chamfer"] > outcome.before["chamfer"] == outcome.figures["chamfer"]
    assert any("no step" in line for line in lines)
    one, two = (pcsr_zoo.load(folder).model.network.state_dict() for folder in (base, tmp_path / "bad"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_gentle_defaults_and_refusals(base, tmp_path):
    data = write_toy_data(tmp_path / "toy.npz")
    finetune(str(base), [data], tmp_path / "r", settings={"steps": 1})
    settings = read_config(tmp_path / "r")["about"]["settings"]
    assert settings["lr"] == pytest.approx(1e-3)  # a tenth of the checkpoint's
    assert (settings["warmup"], settings["validate_first"], settings["schedule"]) == (50, True, "cosine")
    with pytest.raises(OptionError, match="'jet' has no network"):
        finetune("jet", [data], tmp_path / "s")
    with pytest.raises(OptionError, match="'toy-patches'"):
        finetune("toy-patches", [data], tmp_path / "s")
    with pytest.raises(OptionError, match="is the checkpoint itself"):
        finetune(str(base), [data], base)
    with pytest.raises(FileError):
        finetune(str(tmp_path / "nowhere"), [data], tmp_path / "s")
    assert not (tmp_path / "s").exists()


# -- a single scan, and a model that needs no ground truth

SCAN = {"batch": 1, "workers": 0}


@pytest.fixture
def scan(tmp_path):
    pcsr_zoo.write(Cloud(sphere(700)[0]), tmp_path / "scan.ply")
    return tmp_path / "scan.ply"


def network(checkpoint):
    return pcsr_zoo.load(checkpoint).model.network.state_dict()


def test_a_self_supervised_model_learns_from_the_regions_of_a_scan(scan, tmp_path):
    lines = []
    settings = {**SCAN, "steps": 2, "warmup": 0}
    recipe = {"hausdorff": 1.0}
    outcome = finetune("sspu-geo-x4", scan, tmp_path / "r", recipe=recipe, settings=settings, report=lines.append)
    assert outcome.steps == 2
    assert outcome.figures["score"] <= outcome.before["score"]
    parent, about = read_config(pcsr_zoo.load("sspu-geo-x4").resolved.folder), read_config(tmp_path / "r")["about"]
    assert (about["parent"], about["parent_sha256"]) == ("sspu-geo-x4", parent["sha256"])
    assert (about["data_file"]["shapes"], about["data_file"]["held_out"], about["data_file"]["points"]) == (9, 1, 140)
    assert about["recipe"]["clouds"] == [140, 140]  # all points of a region
    assert (about["recipe"]["image"], about["recipe"]["hausdorff"]) == (0, 1.0)
    assert not any("no shape is held out" in line for line in lines)
    last = network(tmp_path / "r/last")
    assert any(not torch.equal(value, last[name]) for name, value in network("sspu-geo-x4").items())
    loaded = pcsr_zoo.load(tmp_path / "r")
    assert loaded.name == "sspu-geo-x4-finetuned"
    assert loaded.upsample(sphere(60)[0], 4).shape == (240, 3)
    again = finetune("sspu-geo-x4", str(scan), tmp_path / "r", recipe=recipe, settings=settings, report=lines.append)
    assert again.resumed == 2
    assert sum("making a training file" in line for line in lines) == 1


def test_a_scan_from_which_nothing_is_learned_leaves_the_weights_as_they_were(scan, tmp_path):
    settings = {**SCAN, "steps": 2, "lr": 0.02, "warmup": 0, "clip": 0, "ema": 0}
    outcome = finetune("sspu-geo-x4", scan, tmp_path / "r", settings=settings)
    assert outcome.step == 0
    assert outcome.last["score"] > outcome.before["score"] == outcome.figures["score"]
    before, after = network("sspu-geo-x4"), network(tmp_path / "r")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_scan_that_is_too_small_leaves_no_folder(tmp_path):
    pcsr_zoo.write(Cloud(sphere(500)[0]), tmp_path / "few.ply")
    with pytest.raises(CloudError, match=r"few\.ply.*500"):
        finetune("sspu-geo-x4", tmp_path / "few.ply", tmp_path / "r", settings={**SCAN, "steps": 2})
    assert not (tmp_path / "r").exists()


def test_a_scan_in_a_folder_is_a_single_scan_and_two_are_not(scan, tmp_path):
    assert single_scan([scan]) == single_scan([tmp_path]) == single_scan([scan, tmp_path]) == scan
    pcsr_zoo.write(Cloud(sphere(700, 1)[0]), tmp_path / "other.ply")
    assert single_scan([tmp_path]) is None
    assert single_scan([cube(tmp_path / "cube.obj")]) is None


def test_regions_and_the_whole_scan_are_two_training_files(tmp_path):
    """Two models may be tuned in one folder, one after the other."""
    pcsr_zoo.write(Cloud(sphere(1100)[0]), tmp_path / "scan.ply")
    files = [training_file([tmp_path / "scan.ply"], tmp_path / "data", silent, scan=scan) for scan in
             (None, tmp_path / "scan.ply")]  # fmt: skip
    assert [len(TrainingSet.load(file)) for file in files] == [1, 9]


# -- commands


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_train_command(tmp_path):
    write_toy_data(tmp_path / "toy.npz")
    config = {
        "model": "toy-patches",
        "import": "toy_training",
        "arguments": {"width": 8},
        "data": "toy.npz",
        "recipe": {"jitter": 0.01},
        "training": {**QUICK, "steps": 500},
    }
    (tmp_path / "c.yml").write_text(yaml.safe_dump(config))
    done = run("train", tmp_path / "c.yml", "-o", tmp_path / "r", "--steps", 4, "--set", "recipe.jitter=0.03")
    assert done.exit_code == 0, done.output
    assert "toy-patches (" in done.output
    assert "best after step 4 (chamfer" in done.output
    assert pcsr_zoo.load(tmp_path / "r").model.arguments["width"] == 8
    assert read_config(tmp_path / "r")["about"]["recipe"] == {"jitter": 0.03}
    quiet = run("train", tmp_path / "c.yml", "-o", tmp_path / "q", "--steps", 1, "-q", "--device", "cpu")
    assert (quiet.exit_code, quiet.stdout) == (0, "")
    other = run("train", tmp_path / "c.yml", "-o", tmp_path / "r", "--steps", 4)
    assert other.exit_code == 1
    assert "recipe.jitter was 0.03, is 0.01" in other.output
    again = run("train", tmp_path / "c.yml", "-o", tmp_path / "r", "--steps", 4, "--restart")
    assert again.exit_code == 0
    for change, message in ((("--set", "lr=1"), "training.lr"), (("--device", "cuda:9"), "CUDA")):
        bad = run("train", tmp_path / "c.yml", "-o", tmp_path / "s", *change)
        assert bad.exit_code in (1, 2)
        assert message in bad.output
        assert "Traceback" not in bad.output


def test_the_train_command_names_its_folder_after_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_toy_data(tmp_path / "toy.npz")
    (tmp_path / "mine.yml").write_text("model: toy-patches\ndata: toy.npz\ntraining: {steps: 1, batch: 2}\n")
    assert run("train", "mine.yml").exit_code == 0
    assert isinstance(pcsr_zoo.load(tmp_path / "runs/mine").model, ToyPatches)


def test_the_finetune_command(base, tmp_path):
    for k in range(3):
        pcsr_zoo.write(Cloud(sphere(1200, k)[0]), tmp_path / f"{k}.xyz")
    scans = [tmp_path / f"{k}.xyz" for k in range(3)]
    done = run("finetune", base, *scans, "-o", tmp_path / "r", "--steps", 3, "--lr", 1e-3, "--set", "training.batch=2")
    assert done.exit_code == 0, done.output
    assert "2 training and 1 held-out shapes, 3 steps, batch 2" in done.output
    assert "before, " in done.output
    settings = read_config(tmp_path / "r")["about"]["settings"]
    assert (settings["steps"], settings["lr"], settings["batch"]) == (3, 1e-3, 2)
    dense = run("upsample", scans[0], "--model", tmp_path / "r", "-x", 2, "-o", tmp_path / "dense.ply")
    assert dense.exit_code == 0, dense.output
    bad = run("finetune", base, *scans, "-o", tmp_path / "s", "--set", "model=3")
    assert bad.exit_code == 1
    assert "only training.KEY and recipe.KEY" in bad.output
    assert run("finetune", base, "-o", tmp_path / "s").exit_code == 2


def test_untrained_weights_of_a_bare_save_can_be_tuned_too(tmp_path):
    """A checkpoint that nobody's trainer wrote says nothing of recipe or settings."""
    save_checkpoint(tmp_path / "bare", ToyPatches(8))
    data = write_toy_data(tmp_path / "toy.npz")
    finetune(str(tmp_path / "bare"), [data], tmp_path / "r", settings={"steps": 2, "batch": 2})
    assert read_config(tmp_path / "r")["about"]["settings"]["lr"] == pytest.approx(1e-4)


def test_a_failed_fine_tuning_leaves_no_folder(base, tmp_path):
    pcsr_zoo.write(Cloud(sphere(1200)[0]), tmp_path / "scan.ply")
    pcsr_zoo.write(Cloud(sphere(300)[0]), tmp_path / "few.ply")
    for scan, change, message in (
        ("few.ply", {}, "none of the files"),
        ("scan.ply", {"recipe": {"color": 3}}, "has no option 'color'"),
        ("scan.ply", {"settings": {"part_lr": {"tail": 1}}}, "no part 'tail'"),
        ("scan.ply", {"settings": {"accumulate": 2, "batch": 3}}, "multiple"),
    ):
        with pytest.raises(OptionError, match=message):
            finetune(str(base), [tmp_path / scan], tmp_path / "r", **change)
        assert not (tmp_path / "r").exists()


def test_info_tells_a_training_file(tmp_path):
    data = write_toy_data(tmp_path / "toy.npz", shapes=5, points=600, held_out=2)
    done = run("info", data)
    assert done.exit_code == 0, done.output
    for line in ("kind: training file", "shapes: 5", "train: 3", "held_out: 2", "points: 600", "CC0-1.0: 3", "MIT: 2"):
        assert f"  {line}\n" in done.output
    facts = json.loads(run("info", data, "--json").output)
    assert facts["bytes"] == data.stat().st_size
    np.savez(tmp_path / "cloud.npz", positions=np.eye(3))
    assert "kind: cloud" in run("info", tmp_path / "cloud.npz").output
    data.write_bytes(data.read_bytes()[:-40])
    broken = run("info", data)
    assert broken.exit_code == 1
    assert "toy.npz" in broken.output


def test_a_folder_that_is_no_checkpoint_is_told_what_one_is(base, tmp_path):
    (tmp_path / "runs").mkdir()
    pcsr_zoo.write(Cloud(sphere(100)[0]), tmp_path / "a.xyz")
    for command in (
        ("upsample", tmp_path / "a.xyz", "-x", 2, "-m", tmp_path / "runs"),
        ("finetune", tmp_path / "runs", tmp_path / "a.xyz", "-o", tmp_path / "r"),
        ("card", tmp_path / "runs"),
    ):
        done = run(*command)
        assert done.exit_code == 1
        assert f"{tmp_path / 'runs'} is not a checkpoint" in done.output
