"""Data sets of Open3D-ML's kind: what an item holds, compared with the files and with the zoo's own calls."""

from __future__ import annotations

import numpy as np
import pytest
from open3d_ml_case import require_open3d_ml, sphere, write_spheres
from scipy.spatial.distance import cdist

import pcsr_zoo
from pcsr_zoo import Cloud, read, write
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.open3d_ml.convert import result_cloud

ml3d = require_open3d_ml()


def dataset(cls: str, /, *args, **options):
    return ml3d.utils.get_module("dataset", cls)(*args, **options)


# -- a folder of clouds -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "clouds"
    folder.mkdir()
    write(Cloud(sphere(90), {"colors": np.full((90, 3), 9, np.uint8), "labels": np.arange(90)}), folder / "a.ply")
    np.save(folder / "b.npy", sphere(60))
    (folder / "notes.md").write_text("no cloud")
    return folder


def test_a_folder_of_clouds_is_its_test_split(folder):
    split = dataset("CloudFolder", folder).get_split("test")
    assert len(split) == 2
    assert [split.get_attr(i)["name"] for i in range(2)] == ["a", "b"]
    assert split.get_attr(0) == {"idx": 0, "name": "a", "path": str(folder / "a.ply"), "split": "test"}
    item = split.get_data(0)
    np.testing.assert_allclose(item["point"], sphere(90), atol=1e-6)
    assert item["feat"].tolist() == [[9, 9, 9]] * 90
    assert item["label"].tolist() == list(range(90))
    assert item["gt"] is None
    assert split.get_data(1)["feat"] is None


def test_a_thinned_folder_has_its_clouds_as_ground_truth(folder):
    item = dataset("CloudFolder", folder, ratio=3, input_sampler="random", seed=5).get_split("test").get_data(1)
    assert np.array_equal(item["gt"], sphere(60))
    assert np.array_equal(item["point"], pcsr_zoo.sample(sphere(60), 3, model="random", seed=5))


def test_two_clouds_of_one_stem_have_names_of_their_own(folder):
    np.save(folder / "a.npy", sphere(10))
    split = dataset("CloudFolder", folder).get_split("all")
    assert [split.get_attr(i)["name"] for i in range(3)] == ["a_npy", "a_ply", "b"]


def test_bad_options_are_told(folder, tmp_path):
    with pytest.raises(OptionError, match="dataset_path"):
        dataset("CloudFolder")
    with pytest.raises(FileError, match="nothing"):
        dataset("CloudFolder", tmp_path / "nothing")
    with pytest.raises(OptionError, match="docx"):
        dataset("CloudFolder", folder, result_format="docx")
    with pytest.raises(OptionError, match=r"'validation'.*'training', 'test'"):
        dataset("CloudFolder", folder).get_split("val")
    with pytest.raises(OptionError, match=r"'input_smapler'.*input_sampler"):
        dataset("CloudFolder", folder, input_smapler="fps")
    with pytest.raises(OptionError, match=r"CloudFolder.*'ratio'.*0\.5"):
        dataset("CloudFolder", folder, ratio=0.5)
    with pytest.raises(OptionError, match="'use_cache'"):
        dataset("CloudFolder", folder, use_cache=True)


def test_training_and_test_clouds_can_have_folders_of_their_own(folder, tmp_path):
    names = {
        split: [dataset("CloudFolder", folder).get_split(split).get_attr(i)["name"] for i in range(2)]
        for split in ("train", "training", "test", "all")
    }
    assert set(map(tuple, names.values())) == {("a", "b")}
    for part, name in (("train", "c"), ("test", "d")):
        (folder / part).mkdir()
        np.save(folder / part / f"{name}.npy", sphere(10))
    data = dataset("CloudFolder", folder, train_dir="train", test_dir="test")
    found = {split: [path.stem for path in data.get_split(split).path_list] for split in ("train", "test", "all")}
    assert found == {"train": ["c"], "test": ["d"], "all": ["d", "c"]}
    with pytest.raises(FileError, match="nothing"):
        dataset("CloudFolder", folder, test_dir="nothing")


def test_results_are_stored_and_found(folder, tmp_path):
    data = dataset("CloudFolder", folder, name="Mine", test_result_folder=str(tmp_path / "out"))
    attr = data.get_split("test").get_attr(0)
    assert not data.is_tested(attr)
    data.save_test_result({"point": sphere(20), "feat": np.full((20, 3), 0.5), "label": np.arange(20)}, attr)
    assert data.is_tested(attr)
    stored = read(tmp_path / "out" / "Mine" / "a.ply")
    assert np.array_equal(stored.positions, sphere(20))
    assert stored.attributes["labels"].tolist() == list(range(20))
    assert stored.attributes["colors"].shape == (20, 3)


@pytest.mark.parametrize(
    ("feat", "name", "wanted"),
    [
        (np.array([[0, 128, 255]] * 2, np.uint8), "colors", [0, 128, 255]),
        (np.array([[0, 128, 255]] * 2, np.int64), "colors", [0, 128, 255]),
        (np.array([[0.0, 127.6, 255.0]] * 2), "colors", [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]] * 2), "colors", [0.0, 0.5, 1.0]),
        (np.array([[0.0, -0.5, 1.0]] * 2), "features", [0.0, -0.5, 1.0]),
        (np.array([[0.0, 999.0, 1.0]] * 2), "features", [0.0, 999.0, 1.0]),
        (np.array([[1.0, 2.0, 3.0, 4.0]] * 2), "features", [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_features_are_stored_as_colors_where_they_are_some(feat, name, wanted):
    cloud = result_cloud({"point": np.zeros((2, 3)), "feat": feat})
    assert cloud.attributes.keys() == {name}
    assert cloud.attributes[name][1].tolist() == wanted


# -- a training file ----------------------------------------------------------------------------------------------


def test_a_training_file_has_its_three_splits(tmp_path):
    data = dataset("TrainingFile", write_spheres(tmp_path / "t.npz"), num_points=100, ratio=4)
    names = {
        split: [data.get_split(split).get_attr(i)["name"] for i in range(len(data.get_split(split)))]
        for split in ("train", "training", "validation", "test", "all")
    }
    assert names["train"] == names["training"] == ["a_ball"]
    assert names["validation"] == names["test"] == ["b_ball"]
    assert names["all"] == ["a_ball", "b_ball"]
    with pytest.raises(OptionError, match="demo"):
        data.get_split("demo")


def test_an_item_of_a_training_file_is_a_shape_and_a_thinner_one(tmp_path):
    data = dataset("TrainingFile", write_spheres(tmp_path / "t.npz"), num_points=100, ratio=4)
    split = data.get_split("validation")
    item, again = split.get_data(0), split.get_data(0)
    assert (len(item["point"]), len(item["gt"])) == (100, 400)
    assert np.array_equal(item["point"], again["point"])
    shape = data.training_set.points(1)
    assert cdist(item["gt"], shape).min(axis=1).max() < 1e-6
    assert cdist(item["point"], shape).min(axis=1).max() < 1e-6
    # the normals of a sphere are its points
    np.testing.assert_allclose(
        item["normals"], item["point"] / np.linalg.norm(item["point"], axis=1)[:, None], atol=0.1
    )


def test_what_is_no_training_file_leads_to_one_or_to_the_other_data_set(folder):
    for path in (folder, folder / "a.ply", folder / "gone.npz"):
        with pytest.raises(FileError, match=rf"{path.name}.*pcsr data build.*CloudFolder"):
            dataset("TrainingFile", path)
    with pytest.raises(OptionError, match=r"TrainingFile.*'ratio'.*0\.5"):
        dataset("TrainingFile", folder, ratio=0.5)


# -- PU-GAN -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pugan(tmp_path):
    """A test set of the true layout: a ball without and a box with a mesh."""
    for name in ("input_2048", "gt_8192", "mesh"):
        (tmp_path / "pugan" / name).mkdir(parents=True)
    for name in ("ball", "box"):
        np.savetxt(tmp_path / "pugan" / "gt_8192" / f"{name}.xyz", sphere(200))
        np.savetxt(tmp_path / "pugan" / "input_2048" / f"{name}.xyz", sphere(200)[::4])
    (tmp_path / "pugan" / "mesh" / "box.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    return tmp_path / "pugan"


def test_pugan_gives_input_truth_and_mesh(pugan):
    data = dataset("PUGANTestSet", pugan)
    split = data.get_split("test")
    assert [split.get_attr(i)["name"] for i in range(len(split))] == ["ball", "box"]
    ball, box = split.get_data(0), split.get_data(1)
    assert np.array_equal(ball["point"], sphere(200)[::4])
    assert np.array_equal(ball["gt"], sphere(200))
    assert ball["mesh"] is None
    assert box["mesh"].area == pytest.approx(0.5)


def test_pugan_has_tasks_and_shapes(pugan):
    data = dataset("PUGANTestSet", pugan, task="pcsr8", shapes=["box"])
    item = data.get_split("all").get_data(0)
    assert np.array_equal(item["point"], item["gt"])
    with pytest.raises(OptionError, match="up5"):
        dataset("PUGANTestSet", pugan, task="up5")
    with pytest.raises(OptionError, match="cat"):
        dataset("PUGANTestSet", pugan, shapes=["cat"])
    for call in (data.get_split, lambda split: data.training_file(pugan, print)):
        with pytest.raises(OptionError, match="'training'"):
            call("training")


def test_pugan_is_evaluated_with_its_mesh(pugan, tmp_path):
    data = dataset("PUGANTestSet", pugan, shapes=["box"], test_result_folder=str(tmp_path / "out"))
    jet = ml3d.utils.get_module("model", "Jet", "torch")()
    Pipeline = ml3d.utils.get_module("pipeline", "PointCloudUpsampling", "torch")
    report = Pipeline(jet, data, main_log_dir=str(tmp_path / "logs"), device="cpu").run_test()
    assert (report["convention"], report["p2f_shapes"]) == ("pugan-2019", 1)
    result = read(tmp_path / "out" / "PUGANTestSet" / "box.ply").positions
    corners = np.array([[0, 0], [1, 0], [0, 1]])
    inside = (result[:, 0] > 0) & (result[:, 1] > 0) & (result[:, :2].sum(axis=1) < 1)
    edges = [(corners[i], corners[(i + 1) % 3]) for i in range(3)]
    flat = np.full(len(result), np.inf)
    for a, b in edges:  # distance in the plane to each side
        t = np.clip((result[:, :2] - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        flat = np.minimum(flat, np.linalg.norm(result[:, :2] - a - t[:, None] * (b - a), axis=1))
    distance = np.hypot(np.where(inside, 0, flat), result[:, 2])
    assert report["p2f"] == pytest.approx(1e3 * distance.mean(), rel=1e-5)
    assert report["p2f_std"] == pytest.approx(1e3 * distance.std(), rel=1e-5)


def test_open3d_mls_visualizer_reads_them(folder):
    from open3d._ml3d.vis.visualizer import DatasetModel

    shown = DatasetModel(dataset("CloudFolder", folder), "test", None)
    name = shown.data_names[0]
    shown.load(name)
    np.testing.assert_allclose(shown.tclouds[name].point["positions"].numpy(), sphere(90), atol=1e-6)
