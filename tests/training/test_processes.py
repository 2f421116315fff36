"""Several processes over gloo, started by torchrun; and a machine without Open3D."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_training
from toy_training import PatchRecipe, ToyPatches, write_toy_data

import pcsr_zoo
from pcsr_zoo.training import train
from pcsr_zoo.training.state import load_state

TOY = Path(toy_training.__file__)
# The last step's averaged gradient and all weights of each rank, into files beside the output folder.
WATCHED = """
import os, sys, torch
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import toy_training
from pcsr_zoo.training import engine, output
step, save = engine.Engine.step, output.save_with_card
rank = os.environ["RANK"]
def watched(self, pieces, number, stop=False):
    out = step(self, pieces, number, stop)
    grads = {p + n: w.grad for p, m in self.modules.items() for n, w in m.named_parameters() if w.grad is not None}
    kept = {p + n: w for p, m in self.modules.items() for n, w in m.state_dict().items()}
    torch.save({"gradients": grads, "weights": kept, "loss": out.figures["network/loss"]},
               f"{sys.argv[2]}-{rank}-{number}.pt")
    return out
def only_first(*arguments, **facts):
    assert rank == "0"
    return save(*arguments, **facts)
engine.Engine.step, output.save_with_card = watched, only_first
toy_training.main()
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


def torchrun(path, folder, options, processes=2):
    program = folder.with_name(f"{folder.name}-watched.py")
    program.write_text(WATCHED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += [str(program), str(TOY), str(path), str(folder), json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_processes_train_as_one(path, tmp_path, monkeypatch):
    """Without batch norm and random numbers, whose values depend on how a batch is shared out."""
    torch.set_num_threads(1)
    options = {
        "arguments": {"norm": False, "dropout": 0.0, "width": 8},
        "recipe": {"jitter": 0.0, "pair": True},
        "settings": {"steps": 6, "batch": 8, "accumulate": 2, "warmup": 2, "ema": 0.5, "workers": 0, "save_every": 2},
    }
    out = torchrun(path, tmp_path / "two", options)
    assert out.count("resuming") == 0
    assert out.count("6 steps, batch 8, 2 x ") == 1  # one speaks for all
    from pcsr_zoo.training import engine

    seen = []
    step = engine.Engine.step

    def watched(self, *arguments):
        result = step(self, *arguments)
        seen.append({p + n: w.grad.clone() for p, m in self.modules.items() for n, w in m.named_parameters()
                     if w.grad is not None} | {"loss": result.figures["network/loss"]})  # fmt: skip
        return result

    monkeypatch.setattr(engine.Engine, "step", watched)
    train("toy-patches", path, tmp_path / "one", **options, device="cpu")
    for number in range(6):
        ranks = [torch.load(tmp_path / f"two-{rank}-{number}.pt", weights_only=True) for rank in (0, 1)]
        for kind in ("weights", "gradients"):
            assert ranks[0][kind].keys() == ranks[1][kind].keys()
            assert all(torch.equal(ranks[0][kind][name], ranks[1][kind][name]) for name in ranks[0][kind])
        assert ranks[0]["gradients"].keys() == seen[number].keys() - {"loss"}
        assert float(ranks[0]["loss"]) == pytest.approx(float(seen[number]["loss"]), rel=1e-5)
        for name, gradient in ranks[0]["gradients"].items():
            assert torch.allclose(gradient, seen[number][name], rtol=1e-3, atol=1e-6), (number, name)
    one, two = (pcsr_zoo.load(tmp_path / name).model.network.state_dict() for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    lines = [
        [json.loads(x) for x in (tmp_path / n / "logs/metrics.jsonl").read_text().splitlines()] for n in ("one", "two")
    ]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
    assert len(list((tmp_path / "two/logs").glob("metrics*"))) == 1


@pytest.mark.slow
def test_two_processes_resume_bit_by_bit(path, tmp_path):
    """With batch norm, dropout and jitter: ranks draw different numbers, the same ones again after a stop."""
    settings = {"steps": 5, "batch": 8, "warmup": 2, "ema": 0.5, "workers": 1, "save_every": 1}
    torchrun(path, tmp_path / "a", {"settings": settings})
    last = [torch.load(tmp_path / f"a-{rank}-4.pt", weights_only=True)["weights"] for rank in (0, 1)]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])  # running statistics, too
    state = load_state(tmp_path / "a/state/last.pt")
    # as if it had been killed after its third step: run two of five, by way of a crash in the third
    crashing = {"settings": settings, "recipe": {}}
    program = WATCHED.replace("    out = step(", "    if number == 3: os._exit(9)\n    out = step(")
    folder = tmp_path / "b"
    script = tmp_path / "crash.py"
    script.write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*command, str(TOY), str(path), str(folder), json.dumps(crashing)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode != 0
    assert load_state(folder / "state/last.pt").step == 3
    assert "resuming after step 3" in torchrun(path, folder, crashing)
    again = load_state(folder / "state/last.pt")
    for part in ("networks", "average", "optimizers"):
        assert _equal(getattr(state, part), getattr(again, part)), part


def _equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b


def test_a_batch_that_cannot_be_shared_out(path, tmp_path, monkeypatch):
    from pcsr_zoo.errors import OptionError
    from pcsr_zoo.training import api, devices

    class Three:
        world_size, global_rank, is_global_zero, device = 3, 0, True, torch.device("cpu")

    monkeypatch.setattr(devices, "make_fabric", lambda device, precision: Three())
    with pytest.raises(OptionError, match=r"batch \(4\) must be a multiple of 6"):
        api.train("toy-patches", path, tmp_path, settings={"batch": 4, "accumulate": 2})


WITHOUT = ("open3d", "tensorboard", "laspy", "matplotlib", "yaml", "huggingface_hub", "click")
BARE = (
    f"WITHOUT = {WITHOUT}"
    """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in WITHOUT:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
sys.argv = sys.argv[1:]
import os
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import toy_training
toy_training.main()
assert not set(WITHOUT) & set(sys.modules)
import pcsr_zoo
from pcsr_zoo.training import finetune
import numpy as np
points = np.random.default_rng(0).normal(size=(1500, 3))
points /= np.linalg.norm(points, axis=1, keepdims=True)
np.save(sys.argv[2] + ".npy", points)
finetune(sys.argv[2], [sys.argv[2] + ".npy"], sys.argv[2] + "-mine", settings={"steps": 2, "batch": 2}, report=print)
assert not set(WITHOUT) & set(sys.modules)
"""
)


def test_training_and_fine_tuning_need_little(path, tmp_path):
    """On a machine that only trains: no Open3D, nothing of the command line or the Hub, no YAML."""
    options = {"settings": {"steps": 3, "batch": 2, "workers": 1, "warmup": 1}}
    command = [sys.executable, "-c", BARE, str(TOY), str(path), str(tmp_path / "r"), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TensorBoard is not installed" in done.stdout
    assert isinstance(pcsr_zoo.load(tmp_path / "r-mine").model, ToyPatches)
    assert PatchRecipe  # the module that registers the toy was imported
