"""`run_train` under the real Open3D-ML, through the zoo's trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from open3d_ml_case import Shift, get, make, require_open3d_ml, shift, sphere, write_spheres  # noqa: F401

import pcsr_zoo
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.errors import OptionError, TrainingError

require_open3d_ml()


@pytest.fixture(scope="module")
def training_npz(tmp_path_factory) -> Path:
    return write_spheres(tmp_path_factory.mktemp("data") / "shapes.npz")


FAST = {
    "steps": 150,
    "batch": 2,
    "lr": 0.2,
    "warmup": 0,
    "ema": 0,
    "weight_decay": 0,
    "workers": 0,
    "validate_every": 50,
}


def test_training_finds_the_shift_and_leaves_a_checkpoint(make, shift, training_npz):  # noqa: F811
    """The minimum of the loss is known: the vector (1, 2, 3)."""
    data = get("dataset", "TrainingFile", training_npz, num_points=64)
    pipeline = make("PointCloudUpsampling", shift(seed=0, recipe={"points": 16}), data, training=FAST, seed=4)
    outcome = pipeline.run_train()
    assert outcome.steps == 150
    np.testing.assert_allclose(pipeline.model.network.shift.detach().mean(0), [1, 2, 3], atol=0.05)
    assert pcsr_zoo.load(outcome.folder).model.network.shift.tolist() == pipeline.model.network.shift.tolist()
    about = read_config(outcome.folder)["about"]
    assert about["recipe"] == {"points": 16}
    assert about["settings"]["seed"] == 4
    assert list(Path(outcome.folder, "logs").glob("events.out.tfevents*")), "no figures for TensorBoard"
    (text,) = Path(pipeline.cfg.logs_dir).glob("log_train_*.txt")
    assert "step 150 of 150" in text.read_text()
    assert pipeline.run_train().step == outcome.step  # nothing is left to do

    later = make("PointCloudUpsampling", shift(), data)
    points = sphere(20)
    assert np.array_equal(later.run_inference(points)["point"], pcsr_zoo.load(outcome.folder).upsample(points, 4))


def test_training_goes_on_from_what_is_there(make, shift, training_npz, tmp_path):  # noqa: F811
    """From a checkpoint's weights: with a learning rate of almost nothing they stay."""
    data = get("dataset", "TrainingFile", training_npz)
    start = save_with_card(tmp_path / "start", Shift(width=3))
    settings = {**FAST, "steps": 2, "lr": 1e-12}
    pipeline = make("PointCloudUpsampling", shift(ckpt_path=start), data, training=settings)
    before = pipeline.model.network.shift.detach().clone()
    pipeline.run_train()
    torch.testing.assert_close(pipeline.model.network.shift.detach(), before)
    assert pipeline.run_train().resumed == 2  # the same training, although the model has the trained weights now
    with pytest.raises(OptionError, match=r"ckpt_path.*main_log_dir"):
        make("PointCloudUpsampling", shift(ckpt_path=pipeline.training_dir), data, training=settings).run_train()
    other = make("PointCloudUpsampling", shift(width=3), data, training={**settings, "lr": 1e-3})
    with pytest.raises(TrainingError):
        other.run_train()
    again = make("PointCloudUpsampling", shift(width=3, is_resume=False), data, training={**settings, "lr": 1e-3})
    assert again.run_train().resumed == 0


def test_training_refuses_what_cannot_be_trained(make, shift, training_npz):  # noqa: F811
    with pytest.raises(OptionError, match="Jet "):
        make("PointCloudUpsampling", dataset=get("dataset", "TrainingFile", training_npz)).run_train()
    with pytest.raises(OptionError, match="dataset"):
        make("PointCloudUpsampling", shift()).run_train()
    data = get("dataset", "TrainingFile", training_npz)
    with pytest.raises(OptionError, match=r"'stesp'.*steps"):
        make("PointCloudUpsampling", shift(), data, training={"stesp": 3}).run_train()
