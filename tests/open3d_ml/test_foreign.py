"""Data sets that know nothing of the zoo: one as a user writes it, and Open3D-ML's own, on small folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from open3d_ml_case import get, make, require_open3d_ml, shift, sphere  # noqa: F401

import pcsr_zoo
from pcsr_zoo import read
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import CloudError, OptionError, PcsrError

ml3d = require_open3d_ml()

from open3d._ml3d.datasets.base_dataset import BaseDataset, BaseDatasetSplit  # noqa: E402

FEW_STEPS = {"steps": 2, "batch": 1, "workers": 0, "validate_every": 0}


class MinimalSplit(BaseDatasetSplit):
    def __len__(self):
        return len(self.path_list)

    def get_data(self, idx):
        return self.path_list[idx]

    def get_attr(self, idx):
        return {"name": f"{self.split}/{idx}", "split": self.split}


class Minimal(BaseDataset):
    """What Open3D-ML requires of a data set, and nothing else: no ground truth, results that are kept as they come."""

    def __init__(self, items, **splits):
        super().__init__(dataset_path="", name="Minimal")
        self.splits = {"test": items, **splits}
        self.stored = {}

    @staticmethod
    def get_label_to_names():
        return {}

    def get_split(self, split):
        return MinimalSplit(self, split)

    def get_split_list(self, split):
        return self.splits[split]

    def is_tested(self, attr):
        return attr["name"] in self.stored

    def save_test_result(self, results, attr):
        self.stored[attr["name"]] = results


def item(n: int, seed: int = 0) -> dict:
    points = sphere(n, seed).astype(np.float32)
    return {"point": points, "feat": np.full((n, 2), 0.5, np.float32), "label": np.arange(n, dtype=np.int32)}


# -- a data set of a user


def test_a_minimal_data_set_is_upsampled_sampled_and_recovered(make):  # noqa: F811
    data = Minimal([item(80), item(90, 1)])
    report = make("PointCloudUpsampling", dataset=data, ratio=2).run_test()
    assert (report["measured"], report["cd"], list(report["per_shape"])) == (0, None, ["test_0", "test_1"])
    stored = data.stored["test/1"]
    assert np.array_equal(stored["point"], pcsr_zoo.upsample(item(90, 1)["point"], 2, model="jet"))
    assert (stored["point"].dtype, stored["feat"].shape, stored["label"].shape) == (np.float32, (180, 2), (180,))
    report = make("PointCloudSampling", "FPS", data, convention="plain").run_test()
    assert report["per_shape"]["test_0"]["points_out"] == len(data.stored["test/0"]["point"]) == 20
    assert report["measured"] == 2
    report = make("PointCloudRecovery", dataset=data, convention="plain").run_test()
    assert report["per_shape"]["test_0"]["points_out"] == 80
    assert report["cd"] > 0


def test_a_ground_truth_is_measured_where_the_user_adds_one(make):  # noqa: F811
    data = Minimal([{**item(100), "gt": sphere(400, 5)}])
    report = make("PointCloudUpsampling", dataset=data, convention="plain").run_test()
    wanted = pcsr_zoo.metrics.evaluate(data.stored["test/0"]["point"], sphere(400, 5), convention="plain")
    assert report["cd"] == pytest.approx(1e3 * wanted["cd"])


def test_a_user_trains_on_the_training_split(make, shift):  # noqa: F811
    scans = [item(1500 + k, k) for k in range(3)]
    data = Minimal([item(50)], training=scans)
    settings = {**FEW_STEPS, "lr": 1e-12}
    pipeline = make("PointCloudUpsampling", shift(seed=0), data, training=settings)
    outcome = pipeline.run_train()
    (path,) = (pipeline.training_dir / "data").glob("*.npz")
    made = TrainingSet.load(path)
    assert [len(made.points(k)) for k in range(3)] == [1500] * 3
    assert len(made.held_out) == 1
    for k in range(3):  # each shape is one of the scans, all of which are unit spheres, in its unit frame
        radius = np.linalg.norm(made.points(k), axis=1)
        assert radius.min() > 0.9
    again = make("PointCloudUpsampling", shift(seed=0), data, training=settings).run_train()
    assert again.resumed == outcome.steps  # the same file is made of the same items


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ([{"feat": None}], "test_0.*'point'.*feat"),
        ([None], "test_0.*'point'.*NoneType"),
        ([{"point": None, "bounding_boxes": []}], "test_0.*'point'.*bounding_boxes"),
        ([{"point": np.zeros((5, 2))}], "test_0"),
        ([{"point": np.full((5, 3), np.nan)}], "test_0.*row 0"),
        ([], "'Minimal'"),
    ],
)
def test_items_that_are_no_clouds_are_refused_in_one_line(make, items, names):  # noqa: F811
    with pytest.raises((CloudError, OptionError), match=names) as caught:
        make("PointCloudUpsampling", dataset=Minimal(items)).run_test()
    assert "\n" not in str(caught.value)


def test_faults_of_a_users_class_are_told_with_its_name(make, shift, monkeypatch):  # noqa: F811
    data = Minimal([item(30)])
    with pytest.raises(OptionError, match=r"Minimal.*'training'|'training'.*Minimal"):  # get_split raises a KeyError
        make("PointCloudUpsampling", shift(), data, training=FEW_STEPS).run_train()
    with pytest.raises(OptionError, match="'Minimal'"):
        make("PointCloudUpsampling", shift(), Minimal([], training=[]), training=FEW_STEPS).run_train()
    bad = Minimal([], training=[{"point": np.full((2000, 3), np.inf)}])
    with pytest.raises(PcsrError, match="training_0"):
        make("PointCloudUpsampling", shift(), bad, training=FEW_STEPS).run_train()
    monkeypatch.setattr(Minimal, "save_test_result", lambda self, results, attr: results["predict_labels"])
    with pytest.raises(OptionError, match=r"test_0: save_test_result.*Minimal.*predict_labels.*point"):
        make("PointCloudUpsampling", dataset=data).run_test()
    monkeypatch.setattr(MinimalSplit, "get_data", lambda self, idx: self.nothing)
    with pytest.raises(OptionError, match=r"test_0: get_data.*Minimal.*nothing"):
        make("PointCloudUpsampling", dataset=data).run_test()


# -- Open3D-ML's own


def custom3d(root: Path):
    """.npy files with x y z class features, without the class in the test files."""
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        (root / part).mkdir(parents=True)
        for k in range(count):
            columns = [sphere(1200, k), *([np.zeros((1200, 1))] if part != "test" else []), np.full((1200, 3), 9)]
            np.save(root / part / f"{part}{k}.npy", np.concatenate(columns, axis=1))
    dirs = {"train_dir": "train", "val_dir": "val", "test_dir": "test"}
    return get("dataset", "Custom3D", str(root), test_result_folder=str(root / "out"), **dirs)


def shapenet(root: Path):
    base = root / "shapenetcore_partanno_segmentation_benchmark_v0"
    for part in ("points", "points_label"):
        (base / "bag" / part).mkdir(parents=True)
    (base / "synsetoffset2category.txt").write_text("Bag bag\n")
    (base / "train_test_split").mkdir()
    names = {"train": ["a", "b"], "test": ["c"], "val": ["d"]}
    for split, members in names.items():
        for k, name in enumerate(members):
            np.savetxt(base / "bag" / "points" / f"{name}.pts", sphere(1200, k))
            (base / "bag" / "points_label" / f"{name}.seg").write_text("1\n" * 1200)
        listed = json.dumps([f"shape_data/bag/{name}" for name in members])
        (base / "train_test_split" / f"shuffled_{split}_file_list.json").write_text(listed)
    return get("dataset", "ShapeNet", str(root), test_result_folder=str(root / "out"))


def semantickitti(root: Path):
    sequences = root / "dataset" / "sequences"
    for number in ("00", "11"):
        for part in ("velodyne", "labels"):
            (sequences / number / part).mkdir(parents=True)
        points = np.concatenate([40 * sphere(1200), np.full((1200, 1), 0.25)], axis=1)
        points.astype(np.float32).tofile(sequences / number / "velodyne" / "000000.bin")
        np.full(1200, 40, np.uint32).tofile(sequences / number / "labels" / "000000.label")
    splits = {"training_split": ["00"], "validation_split": ["00"], "test_split": ["11"], "all_split": ["00", "11"]}
    return get("dataset", "SemanticKITTI", str(root), test_result_folder=str(root / "out"), **splits)


@pytest.mark.parametrize("data_set", [custom3d, shapenet, semantickitti])
def test_open3d_mls_own_data_sets_are_run_and_trained_on(make, shift, data_set, tmp_path):  # noqa: F811
    """They can only store labels, so the results are stored as clouds beside."""
    data = data_set(tmp_path / "data")
    report = make("PointCloudUpsampling", "Midpoint", data, ratio=2).run_test()
    split = data.get_split("test")
    assert len(report["per_shape"]) == len(split)
    for k in range(len(split)):
        stored = read(tmp_path / "data" / "out" / data.name / f"{split.get_attr(k)['name']}.ply")
        wanted = pcsr_zoo.upsample(split.get_data(k)["point"][:, :3], 2, model="midpoint")
        assert np.array_equal(stored.positions, wanted)
    report = make("PointCloudSampling", "FPS", data, convention="plain").run_test()
    assert {row["points_out"] for row in report["per_shape"].values()} == {300}
    outcome = make("PointCloudUpsampling", shift(), data, training=FEW_STEPS).run_train()
    assert outcome.steps == 2


def test_columns_after_the_coordinates_become_features(make):  # noqa: F811
    """As in KITTI's items, (N, 4)."""
    points = np.concatenate([sphere(40), np.full((40, 1), 0.25)], axis=1)
    result = make("PointCloudUpsampling", "Midpoint").run_inference({"point": points, "feat": None})
    assert np.array_equal(result["point"], pcsr_zoo.upsample(sphere(40), 4, model="midpoint"))
    np.testing.assert_allclose(result["feat"], np.full((160, 1), 0.25), rtol=1e-12)
