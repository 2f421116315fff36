"""The zoo in the registries of the real Open3D-ML, and its models there; with and without what it needs."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from open3d_ml_case import Shift, require_open3d_ml, shift, sphere  # noqa: F401
from scans import room

import pcsr_zoo
from pcsr_zoo import Cloud, list_models, load
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.catalog import resolve
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.models import registry
from pcsr_zoo.open3d_ml import open3d_class, register, visualizer_data

ml3d = require_open3d_ml()


def model(cls: str, /, **options):
    return ml3d.utils.get_module("model", cls, "torch")(**options)


# -- registries ---------------------------------------------------------------------------------------------------


def test_every_model_of_the_zoo_is_known_under_its_class_name():
    names = register()["model"]
    for cls in registry.model_classes().values():
        assert cls.__name__ in names
        assert ml3d.utils.get_module("model", cls.__name__, "torch").zoo_class is cls
    assert len(names) == len(set(names))


def test_pipelines_and_data_sets_are_known():
    from open3d._ml3d.datasets.base_dataset import BaseDataset
    from open3d._ml3d.torch.models.base_model import BaseModel
    from open3d._ml3d.torch.pipelines.base_pipeline import BasePipeline

    names = register()
    assert names["pipeline"] == ["PointCloudRecovery", "PointCloudSampling", "PointCloudUpsampling"]
    assert names["dataset"] == ["CloudFolder", "PUGANTestSet", "TrainingFile"]
    for name in names["pipeline"]:
        assert issubclass(ml3d.utils.get_module("pipeline", name, "torch"), BasePipeline)
    for name in names["dataset"]:
        assert issubclass(ml3d.utils.get_module("dataset", name), BaseDataset)
    assert issubclass(ml3d.utils.get_module("model", "Jet", "torch"), BaseModel)


def test_registering_again_changes_nothing_and_leaves_theirs_alone():
    before = dict(ml3d.utils.MODEL.module_dict["torch"])
    assert register() == register()
    assert ml3d.utils.MODEL.module_dict["torch"] == before
    import open3d._ml3d.torch as theirs

    assert ml3d.utils.get_module("model", "RandLANet", "torch") is theirs.RandLANet


def test_a_model_registered_by_a_user_needs_no_code_here(shift):  # noqa: F811
    assert ml3d.utils.get_module("model", "Shift", "torch") is shift
    assert shift(width=3).network.shift.shape == (3, 3)


def test_a_taken_name_is_not_overwritten(shift, monkeypatch):  # noqa: F811
    taken = type("PVCNN", (Shift,), {"name": "other"})
    registry.register_model(taken)
    with pytest.raises(OptionError, match="'PVCNN'"):
        register()
    assert ml3d.utils.get_module("model", "PVCNN", "torch").__module__.startswith("open3d")


# -- models: what they do -----------------------------------------------------------------------------------------


# without those that other tests have registered before this file was read
@pytest.mark.parametrize("name", [name for name in list_models() if not resolve(name).untrained])
def test_models_do_as_in_the_zoo(name):
    """The same points as the zoo's own call, for arrays and for dicts; without a ratio that of the weights, or 4."""
    zoo, theirs = load(name), open3d_class(name)
    points = room()[0].positions if zoo.model.kind == "scan lines" else sphere(200)
    size = len(points)
    ours = theirs(ckpt_path=name) if zoo.config else theirs()
    ratio = zoo.config["arguments"].get("ratio", 4) if zoo.config else 4
    assert ours.tasks == zoo.tasks
    for task in zoo.tasks:
        wanted = getattr(zoo, task)(points, 2.5, seed=3)
        assert np.array_equal(ours(points, task, 2.5, seed=3)["point"], wanted)
        result = ours({"point": points, "feat": None}, task)["point"]
        assert len(result) == (round(size / ratio) if task == "sample" else size * ratio)
        assert np.array_equal(result, getattr(zoo, task)(points, ratio))


def test_the_steps_of_an_inference_lead_to_the_same_result():
    cloud = Cloud(sphere(100) + 5e5, {"colors": np.arange(300).reshape(100, 3).astype(np.uint8)})
    jet = model("Jet")
    jet.inference_begin(cloud)
    inputs = jet.inference_preprocess()
    assert jet.inference_end(inputs, jet(inputs)) is True
    wanted = pcsr_zoo.upsample(cloud, 4, model="jet")
    assert np.array_equal(jet.inference_result["point"], wanted.positions)
    assert np.array_equal(jet.inference_result["feat"], wanted.attributes["colors"])


def test_a_loop_of_ones_own_gives_what_its_input_says():
    """What a transform changes, the result changes with: cropped, moved, recolored points."""
    cloud = Cloud(sphere(100), {"colors": np.zeros((100, 3), np.uint8)})
    jet = model("Jet")
    inputs = jet.transform(jet.preprocess({"point": cloud.positions, "feat": cloud.attributes["colors"]}), {})
    inputs["point"], inputs["feat"] = inputs["point"][:60] * 2 + 1, inputs["feat"][:60] + np.uint8(9)
    result = jet(inputs)
    assert np.array_equal(result["point"], pcsr_zoo.upsample(cloud.positions[:60] * 2 + 1, 4, model="jet"))
    assert result["feat"].tolist() == [[9, 9, 9]] * 240


def test_open3d_mls_batches_of_one_cloud_are_taken():
    from open3d._ml3d.torch.dataloaders import DefaultBatcher

    jet = model("Jet")
    items = [{"data": jet.preprocess({"point": sphere(50, k), "feat": None}), "attr": {"name": "a"}} for k in range(2)]
    collate = DefaultBatcher().collate_fn
    assert collate(items[:1])["data"]["point"].shape == (1, 50, 3)
    for given in (collate(items[:1]), collate(items[:1])["data"]):
        assert np.array_equal(jet(given)["point"], pcsr_zoo.upsample(sphere(50), 4, model="jet"))
    with pytest.raises(CloudError, match="'point'"):
        jet(collate(items))


def test_open3d_mls_own_data_loader_feeds_on_preprocess(tmp_path):
    """With its sampler for tests, which looks at `point`."""
    from open3d._ml3d.torch.dataloaders import TorchDataloader

    np.save(tmp_path / "a.npy", sphere(50))
    data = ml3d.utils.get_module("dataset", "CloudFolder")(tmp_path)
    jet, split = model("Jet"), data.get_split("test")
    loader = TorchDataloader(
        split, preprocess=jet.preprocess, transform=jet.transform, sampler=split.sampler, use_cache=False
    )
    assert len(loader) == 1
    assert len(split.sampler.possibilities[0]) == 50
    item = loader[0]
    assert item["attr"]["name"] == "a"
    assert np.array_equal(jet(item, ratio=2)["point"], pcsr_zoo.upsample(sphere(50), 2, model="jet"))


def test_data_keep_their_types_and_their_rows():
    points = sphere(60).astype(np.float32)
    colors = np.random.default_rng(1).integers(0, 256, (60, 3)).astype(np.uint8)
    data = {
        "point": torch.from_numpy(points),
        "feat": colors,
        "label": np.arange(60, dtype=np.int32),
        "intensity": np.linspace(0, 1, 60),
        "bounding_boxes": [object()] * 60,
        "name": "a",
    }
    out = model("Jet")(data, ratio=2)
    assert out.keys() == {"point", "feat", "label", "intensity"}
    assert out["point"].dtype == np.float32
    assert out["feat"].dtype == np.uint8
    assert out["label"].dtype == np.int32
    assert np.array_equal(out["point"][:60], points)
    assert np.array_equal(out["feat"][:60], colors)
    assert set(out["label"][60:]) <= set(range(60))
    blended = out["feat"][60:].astype(int)
    assert not (blended[:, None] == colors[None]).all(-1).any(1).all(), "integer colors jumped instead of blending"
    assert model("FPS")(data, ratio=3)["label"].shape == (20,)


def test_data_without_points_are_refused():
    with pytest.raises(CloudError, match=r"'point'.*: points"):
        model("Jet")({"points": sphere(10)})


def test_a_model_does_only_what_it_can():
    with pytest.raises(OptionError, match=r"FPS.*\bJet\b.*\bJetNet\b"):
        model("FPS")(sphere(10), "upsample")
    with pytest.raises(OptionError, match=r"Jet .*'neighbours'.*neighbors"):
        model("Jet", neighbours=3)
    assert model("Jet", neighbors=7, name="Jet", device="cuda", mode=None).zoo.neighbors == 7


def test_what_cannot_be_trained_says_so():
    jet = model("Jet")
    assert list(jet.parameters()) == []
    for call in (jet.recipe, lambda: jet.get_optimizer({}), lambda: jet.get_loss(None, None, {}, "cpu")):
        with pytest.raises(OptionError, match="Jet "):
            call()
    with pytest.raises(OptionError, match=r"'jet'.*ckpt_path"):
        model("Jet", ckpt_path="somewhere")
    with pytest.raises(OptionError, match=r"'recipe'|Jet "):
        model("Jet", recipe={"points": 3})


# -- models with a network ----------------------------------------------------------------------------------------


def test_a_learned_model_is_a_module_with_its_parameters(shift):  # noqa: F811
    ours = shift(seed=np.random.default_rng(0))
    assert [name for name, _ in ours.named_parameters()] == ["network.shift"]
    assert ours.network is ours.zoo.network
    ours.to(torch.float64)
    assert ours.zoo.network.shift.dtype == torch.float64
    assert torch.equal(shift(seed=5).network.shift, shift(seed=5).network.shift)
    assert not torch.equal(shift(seed=5).network.shift, shift(seed=6).network.shift)


def test_open3d_mls_way_of_saving_works(shift, tmp_path):  # noqa: F811
    """A state_dict in a .pth, as its pipelines write it."""
    a, b = shift(), shift()
    torch.save({"model_state_dict": a.state_dict()}, tmp_path / "ckpt.pth")
    assert not torch.equal(a.network.shift, b.network.shift)
    b.load_state_dict(torch.load(tmp_path / "ckpt.pth", weights_only=True)["model_state_dict"])
    assert torch.equal(a.network.shift, b.network.shift)
    assert b.is_untrained is False
    assert len(b(sphere(20), ratio=2)["point"]) == 40
    with pytest.raises(OptionError, match=r"ckpt\.pth.*pickle.*the folder of a checkpoint"):
        shift(ckpt_path=tmp_path / "ckpt.pth")
    with pytest.raises(FileError, match=r"gone\.pth"):
        shift(ckpt_path=tmp_path / "gone.pth")


def test_models_can_be_pickled(shift):  # noqa: F811
    ours = shift()
    with torch.no_grad():
        ours.network.shift += 1  # trained by somebody
    again = pickle.loads(pickle.dumps(ours))
    assert type(again) is shift
    assert np.array_equal(again(sphere(20))["point"], ours(sphere(20))["point"])


def test_checkpoints_bring_their_arguments(shift, tmp_path):  # noqa: F811
    wide = save_with_card(tmp_path / "wide", Shift(width=5))
    ours = shift(ckpt_path=str(wide))
    assert ours.network.shift.shape == (5, 3)
    assert not ours.is_untrained
    with pytest.raises(OptionError, match=r"width=5.*width=2"):
        shift(width=2).load_weights(wide)
    with pytest.raises(OptionError, match="'nothing'"):
        shift(ckpt_path="nothing")
    with pytest.raises(OptionError, match=r"'jetnet'.*JetNet.*Shift"):
        shift(ckpt_path="jetnet")
    with pytest.raises(OptionError, match=r"model\.safetensors"):
        shift(ckpt_path=wide / "model.safetensors")


def test_a_training_loop_of_ones_own(shift):  # noqa: F811
    """get_loss and get_optimizer: gradient descent on a convex loss finds its minimum."""
    ours = shift(seed=0)
    assert ours.is_untrained
    steps = 300
    optimizer, scheduler = ours.get_optimizer({"training": {"lr": 0.2, "steps": steps, "warmup": 0, "weight_decay": 0}})
    examples = {"sparse": torch.randn(4, 8, 3)}
    shift_before = ours.network.shift.detach().mean(0)
    first = ours.get_loss(None, None, examples, "cpu")
    assert first.item() == pytest.approx(float((shift_before - torch.tensor([1.0, 2, 3])).square().mean()), rel=1e-5)
    for _ in range(steps):
        optimizer.zero_grad()
        ours.get_loss(None, None, examples, "cpu").backward()
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(ours.network.shift.detach().mean(0), [1, 2, 3], atol=1e-2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * 0.01)
    assert not ours.is_untrained


# -- seeing -------------------------------------------------------------------------------------------------------


def test_the_visualizer_takes_results():
    from open3d._ml3d.vis.visualizer import Model

    result = model("Jet")({"point": sphere(40), "feat": np.full((40, 3), 7, np.uint8)}, ratio=2)
    shown = Model()
    shown.create_point_cloud(visualizer_data("mine", result))
    assert np.array_equal(shown.tclouds["mine"].point["positions"].numpy(), result["point"].astype(np.float32))
    assert shown._data["mine"]["feature"].shape == (80, 3)


# -- where something is missing -----------------------------------------------------------------------------------


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("addict", "Open3D-ML cannot be imported .*addict.*pip install 'pcsr-zoo\\[open3d-ml\\]'"),
        ("open3d", "Open3D .*cannot be imported.*pip install open3d"),
    ],
)
def test_without_its_requirements_register_says_so_in_a_line_and_the_zoo_works(missing, says):
    done = python(f"""
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == {missing!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}")

        sys.meta_path.insert(0, Missing())
        import numpy, pcsr_zoo
        from pcsr_zoo.errors import DependencyError
        from pcsr_zoo.open3d_ml import register
        for _ in range(2):
            try:
                register()
            except DependencyError as error:
                print(error)
        print(pcsr_zoo.upsample(numpy.random.rand(30, 3), 2, model="jet").shape)
    """)
    first, second, last = done.stdout.splitlines()
    assert first == second
    assert last == "(60, 3)"
    assert re.match(says, first), first
    assert done.stderr == ""


def test_with_another_torch_the_zoo_is_registered_all_the_same(tmp_path):
    """Open3D's own check of the version raises; the base classes are plain Python."""
    done = python(f"""
        import torch
        torch.__version__ = "1.0.0"
        import numpy
        from pcsr_zoo.open3d_ml import register
        print(register()["pipeline"])
        import open3d.ml as ml3d
        Pipeline = ml3d.utils.get_module("pipeline", "PointCloudUpsampling", "torch")
        Jet = ml3d.utils.get_module("model", "Jet", "torch")
        pipeline = Pipeline(Jet(), main_log_dir={str(tmp_path)!r}, device="cpu")
        print(pipeline.run_inference({{"point": numpy.random.rand(30, 3)}})["point"].shape)
        for name in ("open3d.ml.torch", "open3d._ml3d.torch"):
            try:
                print(__import__(name, fromlist=["x"]).models)
            except Exception as error:
                print(type(error).__name__)
    """)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [
        "['PointCloudRecovery', 'PointCloudSampling', 'PointCloudUpsampling']",
        "(120, 3)",
        "RuntimeError",  # no empty module was left behind
        "RuntimeError",
    ]
    assert "Version mismatch" in done.stderr
    assert len(done.stderr.splitlines()) == 1
