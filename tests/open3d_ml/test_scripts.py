"""Scripts that know nothing of the zoo, through `python -m pcsr_zoo.open3d_ml`, with what they pass by themselves."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest
import torch
from open3d_ml_case import require_open3d_ml, sphere

from pcsr_zoo import Cloud, read, write

require_open3d_ml()

# The calls of Open3D-ML's scripts/run_pipeline.py: a generator as seed, device_ids, mode, the figures' text.
SCRIPT = """
import argparse
import numpy as np
import open3d.ml as ml3d

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("-c", "--cfg_file")
    for name in ("dataset_path", "ckpt_path", "main_log_dir", "mode", "max_epochs", "batch_size"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--device_ids", nargs="+", default=["0"])
    parser.add_argument("--split", default="train")
    parser.add_argument("--seed", default=0)
    args, unknown = parser.parse_known_args()
    extra = argparse.ArgumentParser()
    for word in unknown:
        if word.startswith("-"):
            extra.add_argument(word)
    extra = vars(extra.parse_args(unknown))
    framework = ml3d.utils.convert_framework_name(args.framework)
    args.device, args.device_ids = ml3d.utils.convert_device_name(args.device, args.device_ids)
    cfg = ml3d.utils.Config.load_from_file(args.cfg_file)
    Pipeline = ml3d.utils.get_module("pipeline", cfg.pipeline.name, framework)
    Model = ml3d.utils.get_module("model", cfg.model.name, framework)
    Dataset = ml3d.utils.get_module("dataset", cfg.dataset.name)
    dataset, pipeline, model = ml3d.utils.Config.merge_cfg_file(cfg, args, extra)
    for key in ("max_epochs", "batch_size"):
        if getattr(args, key) is not None:
            pipeline[key] = getattr(args, key)
    rng = np.random.default_rng(args.seed)
    dataset["seed"] = model["seed"] = pipeline["seed"] = rng
    pipeline["device"], pipeline["device_ids"] = args.device, args.device_ids
    made = Pipeline(Model(**model, mode=args.mode), Dataset(**dataset), **pipeline)
    made.cfg_tb = {"cmd_line": "..."}
    made.run_test() if args.split == "test" else made.run_train()

if __name__ == "__main__":
    main()
"""

CONFIG = """
dataset:
  name: CloudFolder
  dataset_path: clouds
  test_result_folder: out
model:
  name: PointLIE
  ckpt_path: pointlie-x8
pipeline:
  name: PointCloudSampling
  main_log_dir: logs
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Runs the script as the command would."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "a.yml").write_text(CONFIG)
    (tmp_path / "script.pth").touch()
    (tmp_path / "clouds").mkdir()
    write(Cloud(sphere(1600)), tmp_path / "clouds" / "ball.ply")

    def command(*words: str) -> None:
        given = ["pcsr_zoo.open3d_ml", "script.py", "torch", "-c", "a.yml", *words]
        monkeypatch.setattr(sys, "argv", given)
        runpy.run_module("pcsr_zoo.open3d_ml", run_name="__main__")

    return command


def test_what_the_script_passes_by_itself_is_accepted(start, tmp_path, caplog):
    start("--split", "test")
    assert torch.cuda.is_available() or "'cuda'" in caplog.text  # it passes cuda where nobody asked for it
    assert len(read(tmp_path / "out" / "CloudFolder" / "ball.ply")) == 200
    start("--split", "test", "--device", "cpu", "--ckpt_path", "pointlie-x4", "--dataset_path", "clouds/ball.ply")
    assert len(read(tmp_path / "out" / "CloudFolder" / "ball.ply")) == 400


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch_size", "4"], "'batch_size'.*'batch'"),
        (["--max_epochs", "4"], "'max_epochs'.*'steps'"),
        (["--mode", "fast"], "'mode'"),
        (["--pipeline.ration", "4"], "'ration'.*ratio"),
        (["--pipeline.optimizer.lr", "4"], "'optimizer'.*'lr'"),
        (["--dataset.use_cache", "true"], "'use_cache'"),
        (["--model.num_layers", "4"], "'num_layers'"),
        (["--ckpt_path", "script.pth"], r"script\.pth.*pickle"),
        (["--ckpt_path", "logs/ckpt_00010.pth"], r"ckpt_00010\.pth.*pointlie-x8"),
        (["--pipeline.training.stesp", "4"], "'stesp'.*steps"),
    ],
)
def test_what_the_user_writes_and_nothing_uses_ends_in_one_line(start, words, message):
    with pytest.raises(SystemExit, match=f"Error: .*{message}") as caught:
        start("--device", "cpu", *words)
    assert "\n" not in str(caught.value)


def test_the_same_generator_gives_the_same_points(start, tmp_path):
    found = []
    for _ in range(2):
        start("--split", "test", "--device", "cpu")
        found.append(read(tmp_path / "out" / "CloudFolder" / "ball.ply").positions)
    assert np.array_equal(*found)
