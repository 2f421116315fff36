"""Pipelines under the real Open3D-ML: inference and checkpoints."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from halving import halving  # noqa: F401
from open3d_ml_case import clouds, get, make, require_open3d_ml, results, shift, sphere, write_spheres  # noqa: F401
from scipy.spatial.distance import cdist

import pcsr_zoo
from pcsr_zoo import read
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.errors import CloudError, FileError, OptionError

require_open3d_ml()


# -- inference ----------------------------------------------------------------------------------------------------


def test_inference_takes_a_dict_an_array_a_cloud_and_a_path(make, clouds):  # noqa: F811
    pipeline = make("PointCloudUpsampling", ratio=2.5, seed=3)
    cloud = read(clouds / "ball.ply")
    wanted = pcsr_zoo.upsample(cloud, 2.5, model="jet", seed=3)
    assert len(wanted) == 1000
    data = {"point": cloud.positions, "feat": cloud.attributes["colors"]}
    for given in (data, cloud, clouds / "ball.ply"):
        result = pipeline.run_inference(given)
        assert np.array_equal(result["point"], wanted.positions)
        assert np.array_equal(result["feat"], wanted.attributes["colors"])
    result = pipeline.run_inference(cloud.positions)
    assert np.array_equal(result["point"], wanted.positions)
    assert result["feat"] is None


def test_options_of_the_section_reach_the_model(make):  # noqa: F811
    points = sphere(100)
    assert len(make("PointCloudUpsampling", n=333).run_inference(points)["point"]) == 333
    rough = sphere(600) + np.random.default_rng(0).normal(0, 0.02, (600, 3))
    moved = make("PointCloudUpsampling", keep_input=False).run_inference(rough)["point"]
    assert np.array_equal(moved, pcsr_zoo.upsample(rough, 4, model="jet", keep_input=False))
    assert cdist(rough, moved).min(axis=1).max() > 0
    kept = make("PointCloudUpsampling", keep_input=True).run_inference(rough)["point"]
    assert np.array_equal(kept[:600], rough)
    sampled = make("PointCloudSampling", "Random", ratio=10, seed=7).run_inference(points)["point"]
    assert np.array_equal(sampled, pcsr_zoo.sample(points, 10, model="random", seed=7))
    assert len(make("PointCloudRecovery", ratio=3).run_inference(points)["point"]) == 300


def test_a_generator_is_a_seed_as_open3d_mls_script_gives_it(make):  # noqa: F811
    a, b = (
        make("PointCloudSampling", "Random", seed=np.random.default_rng(5)).run_inference(sphere(50)) for _ in range(2)
    )
    assert np.array_equal(a["point"], b["point"])


def test_the_wrong_model_is_told_at_once(make):  # noqa: F811
    with pytest.raises(OptionError, match=r"FPS.*\bJet\b"):
        make("PointCloudUpsampling", "FPS")
    with pytest.raises(OptionError, match=r"Midpoint.*\bFPS\b"):
        make("PointCloudSampling", "Midpoint")
    with pytest.raises(OptionError, match="Linear"):
        make("PointCloudUpsampling", torch.nn.Linear(1, 1))
    with pytest.raises(OptionError, match="list"):
        make("PointCloudUpsampling", dataset=[1])


def test_each_pipeline_has_all_three_methods(make):  # noqa: F811
    """The ratio is that of the weights; what `sample` returns becomes as dense as it was, also in a file."""
    points = sphere(1601)
    data = {"point": points.astype(np.float32), "feat": np.arange(1601)[:, None], "label": np.arange(1601)}
    for name in ("PointCloudUpsampling", "PointCloudSampling", "PointCloudRecovery"):
        pipeline = make(name, get("model", "PointLIE", ckpt_path="pointlie-x8"))
        few = pipeline.sample(data)
        zoo = pcsr_zoo.sample(points.astype(np.float32), model="pointlie-x8")
        assert np.array_equal(few["point"], zoo)
        assert (len(few["point"]), len(few["feat"]), len(few["label"])) == (200, 200, 200)
        dense = pipeline.recover(few)["point"]
        assert np.array_equal(dense, pcsr_zoo.recover(zoo, n=1601, model="pointlie-x8"))
        assert len(pipeline.recover({"point": few["point"]})["point"]) == 1600
        assert len(pipeline.upsample(few)["point"]) == 1600
        assert len(pipeline.upsample(few, 2.5)["point"]) == 500
        assert len(pipeline.sample(data, n=77)["point"]) == 77
    wanted = {"PointCloudSampling": 200, "PointCloudRecovery": 1600 * 8, "PointCloudUpsampling": 1600 * 8}
    for name, size in wanted.items():
        model = get("model", "PointLIE", ckpt_path="pointlie-x8")
        assert len(make(name, model).run_inference({"point": points[:1600]})["point"]) == size
        halved = make(name, model, ratio=2)  # a ratio in the configuration is for all three methods
        assert [len(call(points)["point"]) for call in (halved.sample, halved.recover)] == [800, 3202]


def test_a_method_that_the_model_cannot_do_names_models_that_can(make):  # noqa: F811
    with pytest.raises(OptionError, match=r"Jet .*\bFPS\b.*\bPointLIE\b"):
        make("PointCloudUpsampling").sample(sphere(20))
    for call in ("upsample", "recover"):
        with pytest.raises(OptionError, match=r"FPS .*\bJet\b"):
            getattr(make("PointCloudSampling", "FPS"), call)(sphere(20))


def test_a_sampled_result_in_a_file_is_recovered_by_the_command_line(make, clouds, tmp_path):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, test_result_folder=str(tmp_path / "out"))
    make("PointCloudSampling", get("model", "PointLIEGeo", ckpt_path="pointlie-geo-x4"), data).run_test()
    few = results(data, "ball")
    assert len(few) == 100
    assert len(pcsr_zoo.recover(few)) == 400


def test_a_model_that_samples_and_recovers_does_both(make, halving):  # noqa: F811
    from pcsr_zoo.open3d_ml.models import open3d_class

    points = sphere(400)
    pipeline = make("PointCloudRecovery", open3d_class("halving")(), ratio=8, seed=3)
    few = pipeline.sample({"point": points, "feat": None})["point"]
    assert np.array_equal(few, pcsr_zoo.sample(points, 8, model=pipeline.model.zoo, seed=3))
    dense = pipeline.run_inference(few)["point"]
    assert np.array_equal(dense, pcsr_zoo.recover(few, 8, model=pipeline.model.zoo, seed=3))
    with pytest.raises(OptionError, match=r"Halving.*\bJet\b"):
        make("PointCloudUpsampling", open3d_class("halving")())


@pytest.mark.parametrize(
    ("option", "value", "instead"),
    [
        ("batch_size", 4, "batch"),
        ("max_epoch", 100, "steps"),
        ("max_epochs", 100, "steps"),
        ("optimizer", {"lr": 0.001}, "lr"),
        ("save_ckpt_freq", 5, "save_every"),
        ("scheduler_gamma", 0.99, "schedule"),
        ("test_batch_size", 1, "leave it out"),
        ("val_batch_size", 2, "leave it out"),
        ("train_sum_dir", "train_log", "training/logs"),
        ("summary", {"record_for": []}, "training/logs"),
        ("distributed", True, "torchrun"),
        ("device_ids", ["0", "1"], "torchrun"),
        ("ration", 8, "ratio"),
        ("sampler", "fps", "leave it out"),
    ],
)
def test_options_that_are_not_used_are_errors(make, option, value, instead):  # noqa: F811
    """Those of Open3D-ML's own configurations, and misspelled ones."""
    with pytest.raises(OptionError, match=f"'{option}'.*{instead}"):
        make("PointCloudUpsampling", **{option: value})


def test_wrong_values_are_errors(make, clouds):  # noqa: F811
    with pytest.raises(OptionError, match=r"ratio.*\bn\b"):
        make("PointCloudUpsampling", ratio=2, n=30)
    with pytest.raises(OptionError, match=r"PointCloudUpsampling.*'ratio'.*0\.5"):
        make("PointCloudUpsampling", ratio=0.5)
    with pytest.raises(OptionError, match=r"training: .*'stesp'.*steps"):
        make("PointCloudUpsampling", training={"stesp": 3})
    with pytest.raises(OptionError, match=r"'pugna'.*pugan-2019"):
        make("PointCloudUpsampling", convention="pugna")
    Pipeline = type(make("PointCloudUpsampling"))
    with pytest.raises(OptionError, match="'cuba'"):
        Pipeline(get("model", "Jet"), device="cuba")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="'cuda'"):
            Pipeline(get("model", "Jet"), device="cuda")


def test_bad_points_are_told_with_their_row(make):  # noqa: F811
    points = sphere(20)
    points[7, 1] = np.nan
    with pytest.raises(CloudError, match="row 7"):
        make("PointCloudUpsampling").run_inference({"point": points})


# -- checkpoints --------------------------------------------------------------------------------------------------


def test_a_saved_checkpoint_is_found_again(make, shift):  # noqa: F811
    first = make("PointCloudUpsampling", shift(seed=1))
    for epoch in (2, 10):
        with torch.no_grad():
            first.model.network.shift.fill_(epoch)
        folder = first.save_ckpt(epoch)
    assert folder.name == "ckpt_00010"
    assert read_config(folder)["about"]["epoch"] == 10
    assert torch.equal(pcsr_zoo.load(folder).model.network.shift, first.model.network.shift)

    second = make("PointCloudUpsampling", shift(seed=2))
    assert second.load_ckpt() == folder
    parameter = second.model.network.shift
    assert torch.equal(parameter, first.model.network.shift)
    second.load_ckpt(str(folder.with_name("ckpt_00002")))
    assert second.model.network.shift is parameter, "an optimizer that holds the parameter would lose it"
    assert (parameter == 2).all()
    with pytest.raises(FileError, match="ckpt_00003"):
        second.load_ckpt(str(folder.with_name("ckpt_00003")))


def test_random_weights_are_not_used(make, shift, clouds, tmp_path, caplog):  # noqa: F811
    """Better ones are, where there are some; else the error says how to give them."""
    points = sphere(30)
    data = get("dataset", "CloudFolder", clouds, test_result_folder=str(tmp_path / "out"))
    untrained = make("PointCloudUpsampling", shift(seed=1), data)
    verbs = (untrained.run_inference, untrained.model, untrained.recover, untrained.upsample)
    for call in (*(partial(verb, points) for verb in verbs), untrained.run_test):
        with pytest.raises(OptionError, match="ckpt_path"):
            call()
    assert not list(tmp_path.glob("out/**/*.*"))
    allowed = shift(seed=1, allow_untrained=True)
    assert len(make("PointCloudUpsampling", allowed).run_inference(points)["point"]) == 120
    with pytest.raises(OptionError, match=r"SSPUGeo.*sspu-geo-x4"):  # weights are not found by the class's name
        make("PointCloudUpsampling", "SSPUGeo").run_inference(points)
    with pytest.raises(OptionError, match=r"JetNet.*\bjetnet\b"):
        make("PointCloudUpsampling", "JetNet").run_inference(points)
    trained = make("PointCloudUpsampling", shift(seed=2))
    trained.save_ckpt(0)
    pipeline = make("PointCloudUpsampling", shift(seed=3))
    caplog.clear()
    assert np.array_equal(pipeline.run_inference(points)["point"], pipeline.model(points)["point"])
    assert "ckpt_00000" in caplog.text
    assert torch.equal(pipeline.model.network.shift, trained.model.network.shift)

    pipeline = make("PointCloudUpsampling", shift(seed=3))
    with torch.no_grad():
        pipeline.model.network.shift += 1  # somebody trained it
    mine = pipeline.model.network.shift.detach().clone()
    pipeline.run_inference(points)
    assert torch.equal(pipeline.model.network.shift, mine)


def test_a_model_with_other_arguments_is_left_alone(make, shift):  # noqa: F811
    make("PointCloudUpsampling", shift(width=5)).save_ckpt(0)
    pipeline = make("PointCloudUpsampling", shift(width=2))
    assert pipeline.load_ckpt() is None
    with pytest.raises(OptionError, match=r"width=5.*width=2"):
        pipeline.load_ckpt(Path(pipeline.cfg.logs_dir, "checkpoint", "ckpt_00000"))


def test_models_without_a_network_have_no_checkpoints(make):  # noqa: F811
    pipeline = make("PointCloudUpsampling")
    assert pipeline.load_ckpt() is None
    with pytest.raises(OptionError, match="Jet "):
        pipeline.save_ckpt(1)
