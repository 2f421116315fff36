"""Fine-tuning on data of one's own, and the commands `pcsr train` and `pcsr finetune`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from scipy.spatial import cKDTree
from toy_training import ToyPatches, one_thread, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import read_config, save_checkpoint
from pcsr_zoo.cli import main
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.datasets.training_set import write_training_set
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.training import finetune, train
from pcsr_zoo.training.own_data import find_sources, single_scan, training_file
from pcsr_zoo.training.scans import cut_scan, pack_scan, surface_area

QUICK = {"batch": 4, "warmup": 2, "lr": 1e-2, "ema": 0.8, "workers": 0, "log_every": 5}
silent = [].append


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A trained checkpoint."""
    folder = tmp_path_factory.mktemp("base")
    data = write_toy_data(folder / "toy.npz")
    train("toy-patches", data, folder / "r", settings={**QUICK, "steps": 30}, recipe={"jitter": 0.02}, device="cpu")
    return folder / "r"


def sphere(n, seed=0, radius=3.0, center=(500_000.0, 4_600_000.0, 100.0)):
    """Points at UTM coordinates, with the normals of a sphere."""
    normals = np.random.default_rng(seed).normal(size=(n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return radius * normals + np.array(center), normals


def cube(path):
    """Twelve triangles."""
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = "1 2 4 3, 5 7 8 6, 1 5 6 2, 3 4 8 7, 1 3 7 5, 2 6 8 4"
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {face}" for face in faces.split(", ")]
    path.write_text("\n".join(lines) + "\n")
    return path


# -- scans


def test_a_scan_becomes_an_even_shape_with_normals():
    points, normals = sphere(20_000)
    shape = pack_scan(points, None, 2048, "s", "s.ply")
    data = _as_set(shape)
    got, directions = data.points(0), data.normals(0)
    radius = np.linalg.norm(got - got.mean(axis=0), axis=1)
    assert radius == pytest.approx(np.full(2048, radius.mean()), rel=0.02)
    along = np.abs((directions * (got / np.linalg.norm(got, axis=1, keepdims=True))).sum(axis=1))
    assert np.degrees(np.arccos(np.clip(np.quantile(along, 0.01), -1, 1))) < 3
    assert data.shapes[0].area == pytest.approx(4 * np.pi, rel=0.08)
    assert data.shapes[0].normals == "unoriented"
    assert data.frames[0] == pytest.approx([500_000, 4_600_000, 100, 3], abs=0.05)
    gap = cKDTree(got).query(got, 2)[0][:, 1]
    assert gap.min() > 0.6 * gap.mean()  # random points: 0.02
    known = _as_set(pack_scan(points, 7 * normals, 2048, "s", "s.ply"))
    along = (known.normals(0) * known.points(0)).sum(axis=1)
    assert along.min() > 0.98  # the file's, with their sign
    with pytest.raises(CloudError, match="has 20000 distinct points; 30000 are needed"):
        pack_scan(np.concatenate([points, points]), None, 30_000, "s", "s.ply")


def test_the_area_of_a_plane_with_borders():
    grid = np.stack(np.meshgrid(np.arange(60), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2) * 0.5
    points = np.concatenate([grid, np.zeros((2400, 1))], axis=1)
    assert surface_area(points) == pytest.approx(2400 * 0.25, rel=0.1)


def _as_set(*shapes):
    with tempfile.TemporaryDirectory() as folder:
        path = write_training_set(Path(folder) / "x.npz", shapes, {"points": len(shapes[0].coarse)})
        return TrainingSet.load(path)


@pytest.mark.parametrize(("count", "size", "held_out"), [(512, 102, 1), (3000, 600, 1), (30_000, 4096, 1)])
def test_a_single_scan_is_cut_into_regions(count, size, held_out):
    points, _ = sphere(count)
    shapes = cut_scan(np.concatenate([points, points]), "s.ply")  # equal points count once
    data = _as_set(*shapes)
    assert {len(data.points(k)) for k in range(len(data))} == {size}
    assert len(data.held_out) == held_out
    assert len(data.train) > 3
    tree, own = cKDTree(points), []
    for k in range(len(data)):
        distance, index = tree.query(data.points(k) * data.frames[k, 3] + data.frames[k, :3])
        assert distance.max() < 1e-3
        assert len(set(index)) == size
        own.append(set(index))
        center = points[list(index)].mean(axis=0)
        within = np.linalg.norm(points[list(index)] - center, axis=1).max()
        assert within < 2.5 * 3 * 2 * np.sqrt(size / count)  # a disk on the sphere; the whole has the radius 3
    learned = set().union(*(own[k] for k in data.train))
    judged = set().union(*(own[k] for k in data.held_out))
    assert not learned & judged
    assert len(learned) > 0.6 * (count - len(judged))
    assert {shape.license for shape in data.shapes} == {"unknown"}
    assert {shape.source for shape in data.shapes} == {"s.ply"}


def test_regions_of_a_large_scan_are_held_out_in_several_places():
    shapes = cut_scan(sphere(70_000)[0], "s.ply")
    assert {len(shape.coarse) for shape in shapes} == {4096}
    assert sum(shape.info.held_out for shape in shapes) == 2  # about a tenth of the points


def test_the_regions_depend_on_the_seed_alone():
    points, _ = sphere(2000)
    one, again, other = (_as_set(*cut_scan(points, "s.ply", seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.frames, again.frames)
    assert all(np.array_equal(one.points(k), again.points(k)) for k in range(len(one)))
    assert not np.array_equal(one.frames, other.frames)


def test_a_scan_that_is_too_small_to_be_cut_is_named():
    points, _ = sphere(511)
    with pytest.raises(CloudError, match=r"s\.ply.* 511 .*512"):
        cut_scan(np.concatenate([points, points]), "s.ply")


# -- what people have


def test_sources_are_told_apart(tmp_path):
    data = write_toy_data(tmp_path / "train.npz")
    mesh = cube(tmp_path / "cube.obj")
    points, _ = sphere(1500)
    pcsr_zoo.write(Cloud(points), tmp_path / "scan.ply")
    np.savez(tmp_path / "cloud.npz", positions=points)
    np.savetxt(tmp_path / "numbers.csv", points, delimiter=",")
    (tmp_path / "table.csv").write_text("file,license,license_class,source\ncube.obj,MIT,permissive,me\n")
    found = find_sources([tmp_path])
    assert found.training == [data]
    assert found.meshes == [mesh, tmp_path / "table.csv"]
    assert found.clouds == [tmp_path / "cloud.npz", tmp_path / "numbers.csv", tmp_path / "scan.ply"]
    assert find_sources([mesh, tmp_path, mesh]).meshes == found.meshes
    with pytest.raises(FileError, match=r"gone\.ply: no such file"):
        find_sources([tmp_path / "gone.ply"])
    with pytest.raises(OptionError, match="no data"):
        find_sources([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no meshes or point clouds"):
        find_sources([tmp_path / "empty"])
    (tmp_path / "pugan").mkdir()
    pcsr_zoo.write(Cloud(points), tmp_path / "pugan/x.ply")
    with pytest.raises(FileError, match="test set"):
        find_sources([tmp_path / "pugan/x.ply"])


def test_a_mixture_becomes_one_training_file_once(tmp_path):
    data = write_toy_data(tmp_path / "train.npz", shapes=3, points=2048, held_out=0)
    cube(tmp_path / "cube.obj")
    for k in range(2):
        pcsr_zoo.write(Cloud(sphere(1500, k)[0]), tmp_path / f"scan{k}.ply")
    pcsr_zoo.write(Cloud(sphere(300)[0]), tmp_path / "few.ply")
    lines = []
    inputs = [tmp_path / name for name in ("train.npz", "cube.obj", "scan0.ply", "scan1.ply", "few.ply")]
    made = training_file(inputs, tmp_path / "out", lines.append)
    found = TrainingSet.load(made)
    assert [shape.name for shape in found.shapes] == ["e0", "e1", "e2", "cube", "scan0", "scan1"]
    assert found.about["points"] == 1500  # the poorest that is rich enough
    assert all(len(found.points(k)) == 1500 for k in range(6))
    assert len(found.held_out) == 1
    assert [shape.license for shape in found.shapes] == ["CC0-1.0", "MIT", "CC0-1.0", *3 * ["unknown"]]
    assert any("few.ply" in line and "300 distinct points" in line for line in lines)
    sheet = found.points(3) * found.frames[3, 3] + found.frames[3, :3]  # the cube's faces
    assert np.abs(np.abs(sheet - 0.5).max(axis=1) - 0.5).max() < 1e-4
    before = made.stat().st_mtime_ns
    assert training_file(inputs, tmp_path / "out", silent) == made
    assert made.stat().st_mtime_ns == before
    assert training_file([data], tmp_path / "out", silent) == data  # as it is
    pcsr_zoo.write(Cloud(sphere(1600, 7)[0]), tmp_path / "scan1.ply")
    assert training_file(inputs, tmp_path / "out", silent) != made
    assert sorted(entry.suffix for entry in (tmp_path / "out").iterdir()) == [".npz", ".npz"]
    with pytest.raises(OptionError, match="none of the files"):
        training_file([tmp_path / "few.ply"], tmp_path / "out", silent)


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
    outcome = finetune("sspu-net-x4", scan, tmp_path / "r", recipe=recipe, settings=settings, report=lines.append)
    assert outcome.steps == 2
    assert outcome.figures["score"] <= outcome.before["score"]
    parent, about = read_config(pcsr_zoo.load("sspu-net-x4").resolved.folder), read_config(tmp_path / "r")["about"]
    assert (about["parent"], about["parent_sha256"]) == ("sspu-net-x4", parent["sha256"])
    assert (about["data_file"]["shapes"], about["data_file"]["held_out"], about["data_file"]["points"]) == (9, 1, 140)
    assert about["recipe"]["clouds"] == [140, 140]  # all points of a region
    assert (about["recipe"]["image"], about["recipe"]["hausdorff"]) == (0, 1.0)
    assert not any("no shape is held out" in line for line in lines)
    last = network(tmp_path / "r/last")
    assert any(not torch.equal(value, last[name]) for name, value in network("sspu-net-x4").items())
    loaded = pcsr_zoo.load(tmp_path / "r")
    assert loaded.name == "sspu-net-x4-finetuned"
    assert loaded.upsample(sphere(60)[0], 4).shape == (240, 3)
    again = finetune("sspu-net-x4", str(scan), tmp_path / "r", recipe=recipe, settings=settings, report=lines.append)
    assert again.resumed == 2
    assert sum("making a training file" in line for line in lines) == 1


def test_a_scan_from_which_nothing_is_learned_leaves_the_weights_as_they_were(scan, tmp_path):
    settings = {**SCAN, "steps": 2, "lr": 0.02, "warmup": 0, "clip": 0, "ema": 0}
    outcome = finetune("sspu-net-x4", scan, tmp_path / "r", settings=settings)
    assert outcome.step == 0
    assert outcome.last["score"] > outcome.before["score"] == outcome.figures["score"]
    before, after = network("sspu-net-x4"), network(tmp_path / "r")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_scan_that_is_too_small_leaves_no_folder(tmp_path):
    pcsr_zoo.write(Cloud(sphere(500)[0]), tmp_path / "few.ply")
    with pytest.raises(CloudError, match=r"few\.ply.*500"):
        finetune("sspu-net-x4", tmp_path / "few.ply", tmp_path / "r", settings={**SCAN, "steps": 2})
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
