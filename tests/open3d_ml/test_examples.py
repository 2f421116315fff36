"""The files in examples/open3d_ml: each loads, builds and runs; and the ways in which scripts use them."""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from open3d_ml_case import require_open3d_ml, sphere, write_spheres
from scans import room

import pcsr_zoo
from pcsr_zoo import Cloud, write
from pcsr_zoo.models import registry
from pcsr_zoo.models.base import is_learned

ml3d = require_open3d_ml()

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "open3d_ml"
if not EXAMPLES.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)
FILES = sorted(EXAMPLES.glob("*.yml"), key=lambda path: path.name)


def ratio_of_weights(name: str | None) -> float:
    """As the checkpoint's config.json says, read without the package; 4 for any ratio."""
    if name is None:
        return 4
    config = json.loads((EXAMPLES.parents[1] / "hub_configs" / name / "config.json").read_text())
    return config["arguments"].get("ratio", 4)


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("run_pipeline", EXAMPLES / "run_pipeline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """What each data set of the examples can be pointed to."""
    (tmp_path / "clouds").mkdir()
    write(Cloud(sphere(256)), tmp_path / "clouds" / "ball.ply")
    for name, points in (("input_2048", sphere(256)[::4]), ("gt_8192", sphere(256))):
        (tmp_path / "pugan" / name).mkdir(parents=True)
        np.savetxt(tmp_path / "pugan" / name / "ball.xyz", points)
    return {
        "CloudFolder": tmp_path / "clouds",
        "PUGANTestSet": tmp_path / "pugan",
        "TrainingFile": write_spheres(tmp_path / "train.npz", 4096),
    }


def test_every_model_of_the_zoo_has_an_example():
    shown = {ml3d.utils.Config.load_from_file(str(path)).model.name for path in FILES}
    classes = list(registry.model_classes().values())
    assert {cls.__name__ for cls in classes if cls.__module__.startswith("pcsr_zoo.")} <= shown


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_loads_builds_and_runs_on_a_small_cloud(path, data, tmp_path):
    cfg = ml3d.utils.Config.load_from_file(str(path))
    Model = ml3d.utils.get_module("model", cfg.model.name, "torch")
    Dataset = ml3d.utils.get_module("dataset", cfg.dataset.name)
    Pipeline = ml3d.utils.get_module("pipeline", cfg.pipeline.name, "torch")
    dataset = Dataset(**{**cfg.dataset, "dataset_path": str(data[cfg.dataset.name])})
    untrained = "ckpt_path" in cfg.model and cfg.model.ckpt_path is None  # there are no weights of the class
    model = Model(**cfg.model, **({"allow_untrained": True} if untrained else {}))
    pipeline = Pipeline(model, dataset, **{**cfg.pipeline, "main_log_dir": str(tmp_path / "logs"), "device": "cpu"})
    points = sphere(128).astype(np.float32)
    if model.zoo_class.kind == "scan lines":
        points = room()[0].positions.astype(np.float32)
    result = pipeline.run_inference({"point": points, "feat": None})
    assert pipeline.model.is_untrained == untrained
    ratio = cfg.pipeline.get("ratio") or ratio_of_weights(cfg.model.get("ckpt_path"))
    wanted = round(len(points) / ratio if cfg.pipeline.name == "PointCloudSampling" else len(points) * ratio)
    assert result["point"].shape == (wanted, 3)
    assert result["point"].dtype == np.float32
    assert np.isfinite(result["point"]).all()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_ready_to_run_from_the_root(path):
    """Its paths exist in the checkout, or are left to the user, and what it writes is ignored by git."""
    cfg = ml3d.utils.Config.load_from_file(str(path))
    given = cfg.dataset.dataset_path
    if given is not None and not given.startswith("runs/"):
        assert (EXAMPLES.parents[1] / given).exists()
    assert cfg.dataset.test_result_folder.startswith("runs/")
    assert cfg.pipeline.main_log_dir.startswith("runs/")


def run(script, name: str, data, tmp_path, *changes: str):
    dataset = ml3d.utils.Config.load_from_file(str(EXAMPLES / name)).dataset.name
    words = ["torch", "-c", EXAMPLES / name, "--device", "cpu", "--main_log_dir", tmp_path / "logs"]
    words += ["--dataset_path", data[dataset], "--dataset.test_result_folder", tmp_path / "out", *changes]
    return script.main([str(word) for word in words])


def test_the_script_tests_and_takes_changes(script, data, tmp_path, capsys):
    report = run(script, "jet.yml", data, tmp_path, "--split", "test", "--dataset.ratio", "8")
    assert report["per_shape"]["ball"]["points_in"] == 32
    assert len(pcsr_zoo.read(tmp_path / "out" / "CloudFolder" / "ball.ply")) == 256
    with pytest.raises(SystemExit):
        run(script, "jet.yml", data, tmp_path, "--ratio", "8")
    assert "--ratio" in capsys.readouterr().err


def test_the_scripts_own_examples_work(script, data, tmp_path):
    """The command of its docstring that changes the ratio, on other clouds."""
    words = script.__doc__.partition("--dataset_path my_scans/ ")[2].splitlines()[0].split()
    report = run(script, "jet.yml", data, tmp_path, "--split", "test", *words)
    assert report["per_shape"]["ball"]["points_in"] == 256 // 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-c", str(EXAMPLES / "jet.yml")], r"Error: .*jet\.yml: .*--split test"),
        (["-c", str(EXAMPLES / "pugan-test-set.yml"), "--split", "test"], "Error: PUGANTestSet.*dataset_path"),
        (["-c", "gone.yml"], "Error: .*gone.yml"),
        (["-c", "short.yml"], "Error: short.yml: .*'pipeline'"),
        (["-c", "broken.yml"], r"Error: broken\.yml, line 3: "),
        (["-c", str(EXAMPLES / "jet.yml"), "--model.name", "JetNett"], r"Error: .*jet\.yml: .*'JetNett'.*\bJetNet\b"),
        (["-c", str(EXAMPLES / "jet.yml"), "--dataset.name", "Cloud"], "Error: .*'Cloud'.*CloudFolder"),
        (
            ["-c", str(EXAMPLES / "jet.yml"), "--dataset.name", "Custom3D", "--split", "test"],
            "Error: .*'dataset'.*Custom3D.*'train_dir'",
        ),
        (
            ["-c", str(EXAMPLES / "jetnet.yml"), "--dataset_path", "none", "--dataset.ratio", "0.5"],
            "CloudFolder.*'ratio'",
        ),
    ],
)
def test_the_script_ends_in_one_line(monkeypatch, tmp_path, words, message):
    (tmp_path / "short.yml").write_text("dataset: {name: CloudFolder}\n")
    (tmp_path / "broken.yml").write_text("dataset:\n  name: [CloudFolder\nmodel: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", "torch", "--main_log_dir", str(tmp_path / "logs"), *words])
    with pytest.raises(SystemExit, match=message) as caught:  # Python prints the text, and its exit status is 1
        runpy.run_path(str(EXAMPLES / "run_pipeline.py"), run_name="__main__")
    assert "\n" not in str(caught.value)


def test_any_script_of_open3d_mls_runs_with_the_zoo_registered(tmp_path, monkeypatch, capsys):
    """`python -m pcsr_zoo.open3d_ml SCRIPT`: the script knows nothing of the zoo, as Open3D-ML's own."""
    stock = tmp_path / "stock.py"
    stock.write_text(
        "import sys\n"
        "import open3d.ml as ml3d\n"
        "import open3d.ml.torch\n"
        "if __name__ == '__main__':\n"
        "    print(ml3d.utils.get_module('model', sys.argv[1], 'torch').__name__, sys.argv)\n"
    )
    monkeypatch.setattr(sys, "argv", ["pcsr_zoo.open3d_ml", str(stock), "Jet"])
    runpy.run_module("pcsr_zoo.open3d_ml", run_name="__main__")
    assert capsys.readouterr().out == f"Jet {[str(stock), 'Jet']}\n"


LEARNED = [path for path in FILES if "training" in ml3d.utils.Config.load_from_file(str(path)).pipeline]
FEW = ["--pipeline.training.steps", "2", "--pipeline.training.workers", "0"]


@pytest.mark.parametrize("path", [path for path in LEARNED if path.stem != "scan-net"], ids=lambda path: path.stem)
def test_a_training_example_trains_as_it_is(path, script, tmp_path, monkeypatch):
    """In two steps, on a part of the bundled cloud; the folder that comes of it can be loaded and is used by a test."""
    monkeypatch.chdir(tmp_path)
    Path("examples/data").mkdir(parents=True)
    write(pcsr_zoo.read(EXAMPLES.parent / "data" / "sculpture.ply")[:1300], "examples/data/sculpture.ply")
    words = ["torch", "-c", str(path), "--device", "cpu", "--split"]
    outcome = script.main([*words, "train", *FEW])
    assert is_learned(pcsr_zoo.load(outcome.folder).model)
    about = json.loads(Path(outcome.folder, "config.json").read_text())["about"]
    start = ml3d.utils.Config.load_from_file(str(path)).model.ckpt_path
    assert about["settings"]["steps"] == 2
    if start is None:  # it is trained from random weights
        assert "parent_sha256" not in about
    else:
        theirs = json.loads((EXAMPLES.parents[1] / "hub_configs" / start / "config.json").read_text())
        assert about["settings"]["warmup"] == 0
        assert about["settings"]["lr"] == pytest.approx(theirs["about"]["settings"]["lr"] / 10)
        assert (about["parent_sha256"], about["recipe"]) == (theirs["sha256"], theirs["about"]["recipe"])
    report = script.main([*words, "test", "--ckpt_path", str(outcome.folder)])
    assert (report["measured"], report["checkpoint"]) == (1, str(outcome.folder))
    assert report["weights"] == pcsr_zoo.load(outcome.folder).weights


def test_a_name_can_be_changed_too(script, data, tmp_path):
    """The data set that the comment of the files describes, and another model and pipeline."""
    data["CloudFolder"] = data["TrainingFile"]
    words = ["--dataset.name", "TrainingFile", "--dataset.num_points", "64"]
    outcome = run(script, "jetnet.yml", data, tmp_path, "--split", "train", *words, *FEW)
    assert outcome.folder.parent.name == "JetNet_TrainingFile_torch"
    report = run(script, "jetnet.yml", data, tmp_path, "--split", "test", *words)
    assert (report["dataset"], report["measured"]) == ("TrainingFile", 1)
    words += ["--model.name", "Midpoint", "--pipeline.name", "PointCloudRecovery"]
    report = run(script, "jet.yml", data, tmp_path, "--split", "test", *words)
    assert (report["model"], report["pipeline"]) == ("Midpoint", "PointCloudRecovery")
