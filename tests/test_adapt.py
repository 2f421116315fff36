"""Adapting a network to a single scan: it helps where it can, refuses where it cannot, never sees what judges it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cli_run import run as pcsr  # noqa: E402
from pcsr_zoo.checkpoints.folder.folder import read_config, save_checkpoint, weights_digest  # noqa: E402
from pcsr_zoo.models.sspu_net.model.model import SSPUNet  # noqa: E402
from pcsr_zoo.models.sspu_net.model.recipe import SSPUNetRecipe  # noqa: E402
from pcsr_zoo.training.adapt__GONE import adapt  # noqa: E402
from random_weights import randomized  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from toy_training import ToyPatches, one_thread  # noqa: E402, F401

import pcsr_zoo  # noqa: E402
from pcsr_zoo.cloud import Cloud  # noqa: E402
from pcsr_zoo.errors import CloudError, FileError, OptionError, TrainingError  # noqa: E402
from pcsr_zoo.geometry.frames import UnitFrame  # noqa: E402
from pcsr_zoo.training import adapt_judge__GONE as adapt_judge  # noqa: E402
from pcsr_zoo.training import finetune
from pcsr_zoo.training.ema import EMA  # noqa: E402
from pcsr_zoo.training.lock import NAME, FolderLock  # noqa: E402

SMALL = {"width": 16, "growth": 4, "blocks": 2, "hidden": 16}
MIDDLE, AXES = np.array([500_000.0, 4_600_000.0, 100.0]), np.array([3.0, 2.0, 2.0])
QUICK = {"recipe": {"points": 64}, "seconds": None}


def small(seed=0, spoilt=0.0):
    """A small network; `spoilt`: it puts its points that far off the surface."""
    torch.manual_seed(seed)
    model = SSPUNet(**SMALL)
    if spoilt:
        randomized(model.network.above, spoilt)
    return model


def egg(n=900, seed=0):
    """A smooth scan, far from the origin."""
    points = np.random.default_rng(seed).normal(size=(n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points * AXES + MIDDLE


def weights(model):
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# -- what it does


def test_it_helps_a_network_that_is_wrong_about_the_scan():
    """And by a truth that it never saw: the egg's own surface."""
    model = small(spoilt=0.5)
    before = weights(model)
    found = adapt(model, egg(), steps=40, settings={"validate_every": 20}, **QUICK)
    assert found.improved
    assert found.model is found.candidate is not model
    assert found.verdict.after < 0.9 * found.verdict.before
    assert same(weights(model), before)  # the one that was given stays as it is

    def off(network):
        made = network.upsample(egg(), 4, keep_input=True)[900:]
        return np.abs(np.linalg.norm((made - MIDDLE) / AXES, axis=1) - 1).mean()

    assert off(found.model) < 0.8 * off(model)
    text = str(found)
    assert "the adapted network is used" in text
    assert f"{found.verdict.before:.4f}" in text
    assert f"{found.verdict.after:.4f}" in text


def test_it_refuses_what_makes_it_worse_and_says_so_with_both_numbers():
    model = small()
    settings = {"lr": 1.0, "warmup": 0, "clip": 0, "ema": 0, "validate_every": 2}
    found = adapt(model, egg(), steps=4, settings=settings, **QUICK)
    assert not found.improved
    assert found.model is model
    assert found.verdict.after > found.verdict.before
    assert found.candidate is not model
    assert "the original network is kept" in str(found)
    assert f"{found.verdict.before:.4f}" in str(found)
    assert f"{found.verdict.after:.4f}" in str(found)


def test_it_refuses_what_changes_nothing():
    found = adapt(small(), egg(), steps=2, settings={"lr": 1e-12}, **QUICK)
    assert not found.improved
    assert found.verdict.after == pytest.approx(found.verdict.before, rel=1e-3)


def test_it_refuses_what_puts_a_point_far_off(monkeypatch):
    """Everything is nearer but one new point of thousands."""
    model = small(spoilt=0.5)
    upsample = SSPUNet.upsample
    calls = []

    def stray(self, x, *args, **options):
        dense = upsample(self, x, *args, **options)
        calls.append(len(x))
        if len(calls) == 4:  # the watched points twice, the final ones before and after
            dense[-1] += 5 * (dense.max(axis=0) - dense.min(axis=0))
        return dense

    monkeypatch.setattr(SSPUNet, "upsample", stray)
    found = adapt(model, egg(), steps=20, settings={"validate_every": 20}, **QUICK)
    assert len(calls) == 4
    assert found.verdict.enough
    assert found.verdict.after < 0.95 * found.verdict.before
    assert found.model is model
    assert "but the farthest points, which were " in str(found)
    assert found.facts()["worst_after"][1] > 20 > found.facts()["worst_before"][1]


def test_weights_that_are_not_finite_are_never_the_best(monkeypatch):
    """The first look finds none that are; the second one does."""
    average = EMA.update

    def overflow(self):
        average(self)
        value = float("inf") if self.updates == 1 else 0.0
        next(self.module.parameters()).data.view(-1)[0] = value

    monkeypatch.setattr(EMA, "update", overflow)
    found = adapt(small(), egg(), steps=2, settings={"lr": 1e-12, "validate_every": 1}, **QUICK)
    assert (found.step, found.watched[1][1]) == (2, np.inf)
    with pytest.raises(TrainingError, match="weights were not finite any more by step 1"):
        adapt(small(), egg(), steps=1, **QUICK)


def test_no_point_that_judges_is_trained_on_or_given_to_the_network(monkeypatch):
    """Spies at the loss, at the network and at the judge; what they see is looked up in the scan."""
    scan = egg()
    unit = UnitFrame.of(scan).to_unit(scan)
    tree = cKDTree(unit)
    trained, given, judged = set(), set(), []

    def numbers(points):
        distance, index = tree.query(points)
        assert distance.max() < 1e-6
        return set(index.tolist())

    examples, upsample, distances = SSPUNetRecipe._examples, SSPUNet.upsample, adapt_judge.two_way_distances
    frames = []

    def spy_examples(self, sparse, *args):
        trained.update(*(numbers(cloud * frames[0].scale + frames[0].center) for cloud in sparse))
        return examples(self, sparse, *args)

    def spy_upsample(self, x, *args, **options):
        given.update(numbers(x))
        if not frames:
            frames.append(UnitFrame.of(x))  # of a scan in one region, which is all that is given
        return upsample(self, x, *args, **options)

    def spy_distances(left, *args):
        judged.append(numbers(left))
        return distances(left, *args)

    monkeypatch.setattr(SSPUNetRecipe, "_examples", spy_examples)
    monkeypatch.setattr(SSPUNet, "upsample", spy_upsample)
    monkeypatch.setattr(adapt_judge, "two_way_distances", spy_distances)
    found = adapt(small(), scan, steps=12, settings={"validate_every": 4}, **QUICK)
    watched, final = judged[0], judged[-1]
    assert [len(points) for points in (watched, final)] == [90, 180]
    assert [points == watched for points in judged] == [True] * 4 + [False, False]  # the last part waits for the end
    assert judged[-2] == final
    assert not watched & final
    assert not (trained | given) & (watched | final)
    assert len(given) == 630
    assert len(trained) > 500
    assert [step for step, _ in found.watched] == [0, 4, 8, 12]


def test_the_same_seed_is_the_same_network():
    def one(seed):
        return adapt(small(), egg(), steps=3, seed=seed, settings={"validate_every": 2}, **QUICK)

    first, again, other = one(0), one(0), one(1)
    assert same(weights(first.candidate), weights(again.candidate))
    assert (first.verdict, first.watched) == (again.verdict, again.watched)
    assert not same(weights(first.candidate), weights(other.candidate))
    state = torch.get_rng_state()
    one(2)
    assert torch.equal(state, torch.get_rng_state())  # nobody else's random numbers change


def test_it_stops_when_nothing_gets_better_and_when_the_time_is_up():
    settings = {"lr": 1e-12, "validate_every": 1}
    found = adapt(small(), egg(), steps=50, settings=settings, **QUICK)
    assert found.stopped == "no better"
    assert found.steps <= 12
    early = adapt(small(), egg(), steps=50, recipe={"points": 64}, seconds=1e-3)
    assert (early.stopped, early.steps) == ("seconds", 1)
    assert "1 steps" in str(early)


def test_any_kind_of_cloud_and_clear_refusals(tmp_path):
    with pytest.raises(OptionError, match="'jet' has no network"):
        adapt("jet", egg())
    with pytest.raises(OptionError, match=r"'jetnet' learns from the truth.*use sspu-net-x4, or fine-tune on denser"):
        adapt("jetnet", egg())
    with pytest.raises(CloudError, match="the scan has 100 distinct points; 512 are needed"):
        adapt(small(), egg(100))
    Cloud(egg(100)).write(tmp_path / "few.ply")
    with pytest.raises(CloudError, match=r"few\.ply has 100 distinct points"):
        adapt(small(), tmp_path / "few.ply")
    bad = egg()
    bad[7] = np.nan
    with pytest.raises(CloudError, match="row 7"):
        adapt(small(), bad)
    for options, message in (
        ({"seconds": 0}, "seconds must be above 0"),
        ({"recipe": {"color": 1}}, "no option 'color'"),
        ({"settings": {"lr": -1}}, "lr must be above 0"),
        ({"steps": 0}, "steps must be at least 1"),
    ):
        with pytest.raises(OptionError, match=message):
            adapt(small(), egg(), **options)
    with pytest.raises(TrainingError, match="not finite in 2 steps in a row"):
        adapt(small(), egg(), recipe={"points": 64, "surface": float("inf")}, settings={"patience": 2}, steps=5)


def test_it_is_part_of_the_public_api():
    assert pcsr_zoo.adapt is adapt
    assert "adapt" in pcsr_zoo.__all__


# -- checkpoints and commands


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small checkpoint that has something to learn, and a scan."""
    folder = tmp_path_factory.mktemp("adapt")
    save_checkpoint(folder / "base", small(spoilt=0.5), name="small-sspu", recipe={"points": 64, "image": 5.0})
    Cloud(egg()).write(folder / "scan.ply")
    return folder


def test_finetune_adapts_to_a_single_scan(base, tmp_path):
    lines = []
    settings = {"steps": 20, "validate_every": 10}
    outcome = finetune(base / "base", [base / "scan.ply"], tmp_path / "mine", settings=settings, report=lines.append)
    assert outcome.figures["left_out"] < outcome.before["left_out"]
    assert (outcome.steps, outcome.step > 0) == (20, True)
    config = read_config(tmp_path / "mine")
    assert config["name"] == "small-sspu-adapted"
    about = config["about"]
    assert about["parent"] == about["adaptation"]["parent"] == "small-sspu"
    assert about["adaptation"]["kept"] == "adapted"
    assert about["recipe"]["points"] == 64  # as it was trained
    assert about["recipe"]["image"] == 0.0  # but for what is a scan's
    assert about["data"] == ["scan.ply, a single scan: 630 of its points, without any truth"]
    assert "the adapted network is used" in lines[-1]
    assert len(pcsr_zoo.load(tmp_path / "mine").upsample(egg(), 2)) == 1800


def test_where_it_is_no_better_the_folder_has_the_original(base, tmp_path):
    settings = {"steps": 2, "lr": 1e-12}
    outcome = finetune(base / "base", [base / "scan.ply"], tmp_path / "mine", settings=settings)
    assert outcome.step == 0
    assert outcome.figures == outcome.before
    one, other = read_config(base / "base"), read_config(tmp_path / "mine")
    assert (one["name"], one["sha256"]) == (other["name"], other["sha256"])
    assert other["about"]["adaptation"]["kept"] == "original"
    assert other["about"]["recipe"] == one["about"]["recipe"]
    assert weights_digest(pcsr_zoo.load(tmp_path / "mine")) == one["sha256"]


def test_an_interrupted_run_leaves_what_was_there(base, tmp_path):
    """It is begun anew then: minutes are not worth a state on disk."""

    def interrupt(stage, fraction):
        if stage == "adapting, step 2":
            assert (tmp_path / "r" / NAME).exists()
            raise KeyboardInterrupt

    (tmp_path / "r").mkdir()
    for mine in ([], ["notes.txt"]):
        for name in mine:
            (tmp_path / "r" / name).touch()
        with pytest.raises(KeyboardInterrupt):
            finetune(base / "base", base / "scan.ply", tmp_path / "r", settings={"steps": 5}, progress=interrupt)
        assert [entry.name for entry in (tmp_path / "r").iterdir()] == mine
    (tmp_path / "r/notes.txt").unlink()
    (tmp_path / "r").rmdir()
    with pytest.raises(KeyboardInterrupt):
        finetune(base / "base", base / "scan.ply", tmp_path / "r", settings={"steps": 5}, progress=interrupt)
    assert not (tmp_path / "r").exists()


def test_a_folder_that_cannot_be_used_is_told_before_the_work(base, tmp_path):
    def never(stage, fraction):
        raise AssertionError(stage)

    held = FolderLock(tmp_path / "r")
    with pytest.raises(TrainingError, match="another training is writing to this folder"):
        finetune(base / "base", base / "scan.ply", tmp_path / "r", progress=never)
    held.release()
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="this folder cannot be made"):
        finetune(base / "base", base / "scan.ply", tmp_path / "file/r", progress=never)


def test_scans_in_the_plural_and_models_of_the_truth_are_trained_as_before(base, tmp_path):
    Cloud(egg(1200, 1)).write(tmp_path / "one.ply")
    Cloud(egg(1200, 2)).write(tmp_path / "two.ply")
    lines = []
    settings = {"steps": 1, "batch": 1, "workers": 0}
    recipe = {"points": 64, "clouds": [600, 600], "pixels": 8}
    finetune(base / "base", [tmp_path], tmp_path / "r", recipe=recipe, settings=settings, report=lines.append)
    assert any("1 shapes to train on, 1 steps" in line for line in lines)
    save_checkpoint(tmp_path / "toy", ToyPatches(8))
    finetune(tmp_path / "toy", [tmp_path / "one.ply"], tmp_path / "s", settings={**settings, "batch": 2})
    assert read_config(tmp_path / "s")["name"] == "toy-patches-finetuned"


def test_the_finetune_command(base, tmp_path):
    quick = ("--steps", 2, "--set", "training.lr=1e-12")
    out, _ = pcsr("finetune", base / "base", base / "scan.ply", "-o", tmp_path / "r", *quick)
    assert "the original network is kept" in out
    assert "best after step 0 (left_out 0." in out
    _, err = pcsr("finetune", base / "base", base / "scan.ply", "-o", tmp_path / "r", *quick, code=1)
    assert "holds a checkpoint already; name another folder with -o, or replace it: --restart" in err
    pcsr("finetune", base / "base", base / "scan.ply", "-o", tmp_path / "r", *quick, "--restart")
    Cloud(egg(300)).write(tmp_path / "few.ply")
    _, err = pcsr("finetune", base / "base", tmp_path / "few.ply", "-o", tmp_path / "s", *quick, code=1)
    assert "few.ply has 300 distinct points; 512 are needed" in err
    (tmp_path / "file").write_text("")
    _, err = pcsr("finetune", base / "base", base / "scan.ply", "-o", tmp_path / "file", *quick, code=1)
    assert "is a file; name a folder" in err
    assert not (tmp_path / "s").exists()


def test_the_upsample_command(base, tmp_path):
    dense = tmp_path / "dense.ply"
    quick = ("--adapt", "--adapt-steps", 3, "-x", 2)
    out, _ = pcsr("upsample", base / "scan.ply", "-m", base / "base", *quick, "-o", dense)
    assert "adapted on 630 points: 3 steps in " in out
    assert "180 points that were left out and the densified surface: 0." in out
    assert len(Cloud.read(dense)) == 1800
    out, _ = pcsr("upsample", base / "scan.ply", "-m", base / "base", *quick, "-o", dense, "--overwrite", "-q")
    assert out == ""
    for options, message in (
        (("--adapt", "-m", "jetnet"), "'jetnet' learns from the truth"),
        (("--adapt", "-m", "jet"), "'jet' has no network"),
        (("--adapt", "-m", "nothing"), "unknown model 'nothing'"),
        (("--adapt-steps", 3), "--adapt-steps is for --adapt"),
        (("--adapt-seconds", 3), "--adapt-seconds is for --adapt"),
    ):
        _, err = pcsr("upsample", base / "scan.ply", "-x", 2, "-o", tmp_path / "no.ply", *options, code=2)
        assert message in err
    Cloud(egg(300)).write(tmp_path / "few.ply")
    _, err = pcsr("upsample", tmp_path / "few.ply", "-m", base / "base", *quick, "-o", tmp_path / "no.ply", code=1)
    assert "300 distinct points" in err
    assert not (tmp_path / "no.ply").exists()


@pytest.mark.parametrize("options", [(), ("-m", "jetnet")])
def test_without_a_model_it_is_the_one_that_can_be_adapted(base, tmp_path, monkeypatch, options):
    asked = []

    def spy(model, cloud, **rest):
        asked.append(model)
        raise OptionError("that is enough")

    monkeypatch.setattr("pcsr_zoo.cli.adapting.check_adapt", lambda *args: None)
    monkeypatch.setattr("pcsr_zoo.cli.resample.check_adapt", lambda *args: None)
    monkeypatch.setattr("pcsr_zoo.cli.resample.check_model", lambda *args: None)
    monkeypatch.setattr("pcsr_zoo.training.adapt.adapt", spy)
    pcsr("upsample", base / "scan.ply", "-x", 2, "--adapt", "-o", tmp_path / "x.ply", *options, code=1)
    assert asked == ["jetnet" if options else "sspu-net-x4"]
