"""`run_test` under the real Open3D-ML: what is run, saved and measured over a data set."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from halving import halving  # noqa: F401
from open3d_ml_case import clouds, get, make, require_open3d_ml, results, shift, sphere, write_spheres  # noqa: F401
from scipy.spatial.distance import cdist

import pcsr_zoo
from pcsr_zoo import read
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.open3d_ml.logfile import log_file

require_open3d_ml()


def plain_distances(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """CD and HD of the convention "plain" by their definitions: in the frame of b, halved mean and maximum."""
    center = b.mean(axis=0)
    distance = cdist(a, b) / np.linalg.norm(b - center, axis=1).max()
    forward, backward = distance.min(axis=1), distance.min(axis=0)
    return (forward.mean() + backward.mean()) / 2, max(forward.max(), backward.max())


def test_upsampling_is_measured_on_what_was_saved(make, clouds, tmp_path, caplog):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, ratio=4, test_result_folder=str(tmp_path / "out"))
    pipeline = make("PointCloudUpsampling", dataset=data, convention="plain")
    with caplog.at_level(logging.INFO, logger="pcsr_zoo"):
        report = pipeline.run_test()
    for name, size in (("ball", 400), ("egg", 300)):
        result, truth = results(data, name), read(next(clouds.glob(f"{name}.*")))
        row = report["per_shape"][name]
        assert (row["points_in"], row["points_out"], len(result)) == (size // 4, size, size)
        cd, hd = plain_distances(result.positions, truth.positions)
        assert row["cd"] == pytest.approx(1e3 * cd, rel=1e-6)
        assert row["hd"] == pytest.approx(1e3 * hd, rel=1e-6)
    assert results(data, "ball").attributes["colors"].dtype == np.uint8
    assert report["convention"] == "plain"
    assert report["cd"] == pytest.approx(np.mean([row["cd"] for row in report["per_shape"].values()]))
    assert (report["shapes"], report["measured"], report["p2f_shapes"], report["p2f"]) == (2, 2, 0, None)
    logs = Path(pipeline.cfg.logs_dir)
    assert logs.name == "Jet_CloudFolder_torch"
    (text,), (saved,) = logs.glob("log_test_*.txt"), logs.glob("log_test_*.json")
    assert json.loads(saved.read_text()) == report
    assert "Overall (plain" in text.read_text()
    assert "100 -> 400 points" in text.read_text()
    assert f"{report['cd']:.3f}" in text.read_text()
    assert (report["checkpoint"], report["weights"]) == (None, None)
    assert all(data.is_tested(data.get_split("test").get_attr(i)) for i in range(2))


def test_the_log_file_has_all_lines_and_the_program_those_that_it_asks_for(make, clouds, caplog):  # noqa: F811
    """`caplog` is a handler of the root logger, whose level is WARNING."""
    pipeline = make("PointCloudUpsampling", dataset=get("dataset", "CloudFolder", clouds))
    pipeline.run_test()
    (text,) = Path(pipeline.cfg.logs_dir).glob("log_test_*.txt")
    assert "400 -> 1600 points" in text.read_text()
    assert caplog.text == ""
    package = logging.getLogger("pcsr_zoo")
    assert (package.level, package.propagate, package.handlers) == (logging.NOTSET, True, [])
    with log_file(pipeline.cfg.logs_dir, "test"):
        package.warning("seen")
    assert caplog.messages == ["seen"]


def test_without_a_ground_truth_results_are_saved_and_nothing_is_measured(make, clouds, tmp_path):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, test_result_folder=str(tmp_path / "out"), result_format="npz")
    pipeline = make("PointCloudUpsampling", dataset=data, ratio=2)
    report = pipeline.run_test()
    (text,) = Path(pipeline.cfg.logs_dir).glob("log_test_*.txt")
    (overall,) = (line for line in text.read_text().splitlines() if "Overall" in line)
    assert "plain" not in overall
    assert "pugan-2019" not in overall
    assert report["cd"] is None
    assert report["measured"] == 0
    assert report["per_shape"].keys() == {"ball", "egg"}
    assert len(results(data, "egg", "npz")) == 600


def test_sampling_is_measured_against_the_dense_cloud(make, clouds, tmp_path):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, test_result_folder=str(tmp_path / "out"))
    report = make("PointCloudSampling", "FPS", data, ratio=4, convention="plain").run_test()
    dense, thin = read(clouds / "ball.ply").positions, results(data, "ball").positions
    assert len(thin) == 100
    assert (cdist(thin, dense).min(axis=1) == 0).all()
    assert report["per_shape"]["ball"]["cd"] == pytest.approx(1e3 * plain_distances(thin, dense)[0], rel=1e-6)


def test_recovery_samples_and_recovers_the_dense_cloud(make, clouds, tmp_path):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, test_result_folder=str(tmp_path / "out"))
    report = make("PointCloudRecovery", dataset=data, sampler="voxel", ratio=8, convention="plain", seed=2).run_test()
    dense = read(clouds / "ball.ply")
    thin = pcsr_zoo.sample(dense, 8, model="voxel", seed=2)
    wanted = pcsr_zoo.upsample(thin, n=400, model="jet", seed=2)
    assert np.array_equal(results(data, "ball").positions, wanted.positions)
    row = report["per_shape"]["ball"]
    assert (row["points_in"], row["points_sampled"], row["points_out"]) == (400, 50, 400)
    assert report["per_shape"]["ball"]["hd"] == pytest.approx(
        1e3 * plain_distances(wanted.positions, dense.positions)[1], rel=1e-6
    )
    with pytest.raises(OptionError, match=r"sampler.*\bJet .*\bFPS\b"):
        make("PointCloudRecovery", dataset=data, sampler="jet").run_test()


def test_a_training_file_is_tested_on_its_held_out_shapes(make, tmp_path):  # noqa: F811
    data = get(
        "dataset",
        "TrainingFile",
        write_spheres(tmp_path / "t.npz"),
        num_points=128,
        ratio=4,
        test_result_folder=str(tmp_path / "out"),
    )
    report = make("PointCloudUpsampling", "Midpoint", data, convention="plain").run_test()
    held_out = {shape.name.replace("/", "_") for shape in data.training_set.shapes if shape.held_out}
    assert report["per_shape"].keys() == held_out
    split = data.get_split("test")
    item, name = split.get_data(0), split.get_attr(0)["name"]
    assert report["per_shape"][name]["cd"] == pytest.approx(
        1e3 * plain_distances(results(data, name).positions, item["gt"])[0], rel=1e-6
    )


def test_a_broken_item_is_named(make, clouds):  # noqa: F811
    (clouds / "egg.xyz").write_text("1 2\n")
    data = get("dataset", "CloudFolder", clouds)
    with pytest.raises(FileError, match=r"egg: .*egg\.xyz"):
        make("PointCloudUpsampling", dataset=data).run_test()


def test_a_truth_as_small_as_the_input_is_no_test_of_upsampling(make, clouds):  # noqa: F811
    data = get("dataset", "CloudFolder", clouds, ratio=1)
    with pytest.raises(OptionError, match=r"ball: .*PointCloudRecovery"):
        make("PointCloudUpsampling", dataset=data).run_test()
    with pytest.raises(OptionError, match="dataset"):
        make("PointCloudUpsampling").run_test()


def test_a_test_of_upsampling_makes_as_many_points_as_the_ground_truth(make, clouds):  # noqa: F811
    """A ratio or count in the configuration that says otherwise is an error."""
    data = get("dataset", "CloudFolder", clouds, ratio=5)
    for size in ({}, {"ratio": 5}):
        report = make("PointCloudUpsampling", "Midpoint", data, **size).run_test()
        assert report["per_shape"]["ball"]["points_out"] == 400
    for size in ({"ratio": 8}, {"n": 500}):
        with pytest.raises(OptionError, match=f"ball.*{next(iter(size))} {next(iter(size.values()))}"):
            make("PointCloudUpsampling", "Midpoint", data, **size).run_test()


def test_a_test_without_items_says_why(make, tmp_path, monkeypatch):  # noqa: F811
    data = get("dataset", "TrainingFile", write_spheres(tmp_path / "t.npz"), num_points=64)
    data.training_set.held_out = []
    with pytest.raises(OptionError, match=r"t\.npz.*--held-out"):
        make("PointCloudUpsampling", "Midpoint", data).run_test()
    monkeypatch.setattr(type(data), "get_split_list", lambda self, split: [])
    with pytest.raises(OptionError, match="'TrainingFile'"):
        make("PointCloudUpsampling", "Midpoint", data).run_test()
