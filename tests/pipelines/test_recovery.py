"""`recover`, and what a sampled Cloud remembers for it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from halving import Halving, halving
from model_contract import UTM, torus_cloud, with_attributes
from scipy.spatial import cKDTree

from pcsr_zoo import Cloud, load, recover, sample, upsample
from pcsr_zoo.checkpoints.folder import save_checkpoint
from pcsr_zoo.checkpoints.shipped import bundled
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.models.midpoint.model import Midpoint

POINTS = torus_cloud(800)
__all__ = ["halving"]


def spread(result: np.ndarray, support: np.ndarray) -> float:
    return float(cKDTree(support).query(result)[0].mean())


def digest(folder) -> str:
    """What a note calls the weights of a checkpoint, from the file itself."""
    return f"sha256:{hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest()}"


@pytest.fixture
def mine(halving, tmp_path):
    """The folder of a checkpoint that no version of the package knows by name."""
    save_checkpoint(tmp_path / "mine", Halving(), name="mine-x8")
    return tmp_path / "mine"


# -- what is remembered -------------------------------------------------------------------------------------------


def test_a_sample_remembers_how_many_and_by_whom():
    few = sample(Cloud(POINTS), 8)
    assert few.metadata["pcsr"] == {
        "model": "jetnet",
        "weights": digest(bundled()["jetnet"]),
        "points": 800,
        "sampled": 100,
        "sampler": "fps",
    }
    np.testing.assert_array_equal(recover(few).positions, recover(few.positions, n=800, model="jetnet"))
    assert "pcsr" not in recover(few).metadata
    assert "pcsr" not in upsample(few, 2).metadata
    assert sample(few, 2).metadata["pcsr"]["points"] == 100  # the last sampling counts


def test_a_model_that_recovers_is_remembered_with_its_weights(mine):
    for model in (mine, str(mine), load(mine), load(mine).model):
        note = sample(Cloud(POINTS), model=model).metadata["pcsr"]
        assert (note["model"], note["sampler"]) == ("mine-x8", "mine-x8")
        assert (note["points"], note["sampled"]) == (800, 100)
        assert note["weights"] == digest(mine)
    loaded = load(mine)
    loaded.model.network.weight.data += 1  # the note is of the weights that sampled, not of those in the folder
    assert loaded.sample(Cloud(POINTS)).metadata["pcsr"]["weights"] == loaded.weights != digest(mine)


def test_a_part_of_a_sample_becomes_the_same_part(caplog):
    few = sample(Cloud(POINTS), 8)
    assert len(recover(few[:25])) == 200
    assert "25 of the 100 points" in caplog.text
    caplog.clear()
    assert len(recover(few[:25], n=60)) == 60
    assert caplog.text == ""


@pytest.mark.parametrize(
    "note",
    [
        {},
        {"model": "jet"},
        {"model": "../x", "sampler": "fps", "points": 8, "sampled": 4, "weights": None},
        {"model": "jet", "sampler": "fps", "points": 3, "sampled": 4, "weights": None},
        {"model": "jet", "sampler": "fps", "points": True, "sampled": True, "weights": 7},
        "jet",
    ],
)
def test_a_damaged_note_is_no_note(note):
    cloud = Cloud(POINTS[:40], metadata={"pcsr": note})
    with pytest.raises(OptionError, match="ratio"):
        recover(cloud)
    assert len(recover(cloud, 2, model="midpoint")) == 80


def test_a_note_cannot_fill_the_memory():
    few = sample(Cloud(POINTS), 8)
    few.metadata["pcsr"]["points"] = 10**15
    with pytest.raises(OptionError, match="1,000,000,000,000,000"):
        recover(few)
    assert len(recover(few, 2)) == 200


def test_other_weights_are_told_and_named_ones_accepted(caplog):
    few = sample(Cloud(POINTS), 8)
    few.metadata["pcsr"]["weights"] = "sha256:" + "0" * 64
    assert len(recover(few)) == 800
    assert "'jetnet'" in caplog.text
    assert digest(bundled()["jetnet"])[:19] in caplog.text
    assert "sha256:000000000000" in caplog.text
    caplog.clear()
    assert len(recover(few, model="jetnet")) == 800
    assert caplog.text == ""


def test_a_checkpoint_that_this_version_does_not_know_has_to_be_named(mine):
    few = sample(Cloud(POINTS), model=mine)
    with pytest.raises(OptionError, match=rf"'mine-x8' \({digest(mine)[:19]}.*-m FOLDER"):
        recover(few)
    assert len(recover(few, model=mine)) == 800
    assert len(recover(few, model="jet")) == 800


def test_a_checkpoint_with_the_name_of_a_model_class_has_to_be_named(mine, tmp_path):
    """The class of that name has random weights only, which recover nothing."""
    save_checkpoint(tmp_path / "runs", load(mine).model, name="halving")
    few = sample(Cloud(POINTS), model=tmp_path / "runs")
    assert few.metadata["pcsr"]["model"] == "halving"
    with pytest.raises(OptionError, match=r"'halving' \(sha256:.*-m FOLDER"):
        recover(few)
    assert len(recover(few, model=tmp_path / "runs")) == 800


# -- recover ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["jet", "midpoint", "jetnet"])
def test_upsamplers_keep_the_sampled_points(model):
    noisy = POINTS[:300] + np.random.default_rng(0).normal(size=(300, 3)) * 0.05  # which upsample would move
    for ratio in (4, 2.5, 1):
        result = recover(noisy, ratio, model=model)
        assert result.shape == (round(300 * ratio), 3)
        np.testing.assert_array_equal(result[:300], noisy)
    np.testing.assert_array_equal(load(model).recover(noisy, 2), recover(noisy, 2, model=model))


def test_a_model_for_recovery_makes_all_points():
    cloud = with_attributes(POINTS * 50 + UTM)
    for amount, count in (({"ratio": 8}, 6400), ({"n": 801}, 801), ({"ratio": 2.5}, 2000), ({}, 6400)):
        result = recover(cloud, model=Halving(), **amount)
        assert len(result) == count
        assert list(result.attributes) == list(cloud.attributes)
        assert result.metadata == cloud.metadata
        assert np.abs(result.positions - UTM).max() < 85
    index = cKDTree(cloud.positions).query(result.positions)[1]
    np.testing.assert_array_equal(result.attributes["labels"], cloud.attributes["labels"][index])


def test_seeds_and_temperature():
    first = recover(POINTS, 2, model=Halving(), seed=5)
    np.testing.assert_array_equal(recover(POINTS, 2, model=Halving(), seed=5), first)
    assert (recover(POINTS, 2, model=Halving(), seed=6) != first).any()
    cold = recover(POINTS, 2, model=Halving(), temperature=0)
    twice = np.concatenate([POINTS, POINTS])
    np.testing.assert_allclose(cold[np.lexsort(cold.T)], twice[np.lexsort(twice.T)], atol=1e-12)
    half, whole = (spread(recover(POINTS, 2, model=Halving(), temperature=t), POINTS) for t in (0.25, 0.5))
    assert whole == pytest.approx(2 * half, rel=0.1)


def test_the_kind_that_was_given_comes_back():
    torch = pytest.importorskip("torch")
    assert recover(torch.from_numpy(POINTS).float(), 2).dtype == torch.float32
    assert recover(POINTS.astype(np.float32), 2).dtype == np.float32
    assert isinstance(recover(Cloud(POINTS), 2), Cloud)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "ratio"),
        ({"ratio": 0.5}, r"ratio.* 0\.5.*sample"),
        ({"n": 799}, "800 .*799.*sample"),
        ({"ratio": 2, "temperature": -1}, "temperature.* -1"),
        ({"ratio": 2, "temperature": "hot"}, "temperature.*'hot'"),
        ({"ratio": 2, "temperature": float("nan")}, "temperature.* nan"),
        ({"ratio": 2, "model": "fps"}, "'fps'.*sample"),
        ({"ratio": 2, "model": "jett"}, "'jett'.* jet"),
        ({"ratio": 2, "device": "warp"}, "'warp'"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(OptionError, match=message):
        recover(POINTS, **options)


def test_clouds_that_cannot_be_recovered():
    with pytest.raises(CloudError, match="empty"):
        recover(np.empty((0, 3)), 2)
    bad = POINTS.copy()
    bad[5] = np.nan
    for model in (Halving(), "jet"):
        with pytest.raises(CloudError, match="row 5"):
            recover(bad, 2, model=model)
    with pytest.raises(CloudError, match="'jet'"):
        recover(np.ones((4, 3)), 2, model="jet")


@pytest.mark.parametrize(("found", "message"), [(np.zeros((3, 3)), r"\(3, 3\).*\({}, 3\)"), (np.nan, "finite")])
def test_a_model_that_does_not_keep_the_contract(found, message):
    class Wrong(Halving):
        name = "wrong"

        def reconstruct(self, points, count, context):
            return np.broadcast_to(found, (count, 3)) if np.ndim(found) == 0 else found

        sampled_points = reconstruct

    with pytest.raises(CloudError, match=f"'wrong'.*{message.format(1600)}"):
        recover(POINTS, 2, model=Wrong())
    with pytest.raises(CloudError, match=f"'wrong'.*{message.format(400)}"):
        sample(POINTS, 2, model=Wrong())


# -- samplers that move points, snap and bits ---------------------------------------------------------------------


def test_moved_samples_take_attributes_from_around_them():
    cloud = with_attributes(POINTS)
    few = sample(cloud, model=Halving(), seed=2)
    assert len(few) == 100  # the ratio of the model
    distance, index = cKDTree(POINTS).query(few.positions)
    assert distance.min() > 1e-4
    np.testing.assert_array_equal(few.attributes["labels"], cloud.attributes["labels"][index])
    assert few.attributes["colors"].dtype == np.uint8
    np.testing.assert_allclose(np.linalg.norm(few.attributes["normals"], axis=1), 1, atol=1e-5)


def test_snap_keeps_points_of_the_input():
    cloud = with_attributes(POINTS)
    few = sample(cloud, 4, model=Halving(), snap=True)
    rows = few.attributes["row"]
    assert len(set(rows)) == 200
    np.testing.assert_array_equal(few.positions, POINTS[rows])
    np.testing.assert_array_equal(sample(POINTS, 4, snap=True), sample(POINTS, 4))  # fps does so anyway


@pytest.mark.parametrize("bits", [1, 4, 12, 24])
@pytest.mark.parametrize("shift", [0, UTM], ids=["here", "utm"])
def test_bits_put_points_on_a_grid(bits, shift):
    cloud = with_attributes(POINTS * 50 + shift)
    few = sample(cloud, 4, bits=bits)
    plain = sample(cloud, 4)
    low = plain.positions.min(axis=0)
    step = np.ptp(plain.positions, axis=0).max() / (2**bits - 1)
    cells = (few.positions - low) / step
    rounding = 1e-9 / step  # of float64 at these coordinates
    assert np.abs(cells - np.rint(cells)).max() <= 1e-6 + rounding
    assert cells.min() >= -rounding
    assert cells.max() <= 2**bits - 1 + rounding
    assert len(few) == 200
    # the same points as without bits, in another order, each at most half a step away along each axis
    order = np.argsort(few.attributes["row"])
    same = np.argsort(plain.attributes["row"])
    np.testing.assert_array_equal(few.attributes["row"][order], plain.attributes["row"][same])
    assert np.abs(few.positions[order] - plain.positions[same]).max() <= step / 2 * (1 + 1e-6) + 1e-9
    assert few.metadata["pcsr"]["bits"] == bits
    assert len(recover(few)) == 800


def test_bits_order_points_along_a_curve():
    """Morton's: the first point that differs in a higher bit comes later, by the definition, bit for bit."""
    few = sample(torus_cloud(300), 1, bits=7)
    step = np.ptp(few, axis=0).max() / 127
    cells = np.rint((few - few.min(axis=0)) / step).astype(int)
    codes = [
        sum(((int(c[axis]) >> bit) & 1) << (3 * bit + axis) for bit in range(7) for axis in range(3)) for c in cells
    ]
    assert codes == sorted(codes)


@pytest.mark.parametrize("bits", [0, 25, -1, 2.5, True, "12"])
def test_bits_that_make_no_sense(bits):
    with pytest.raises(OptionError, match=r"bits.*24"):
        sample(POINTS, 2, bits=bits)


def test_one_point_on_a_grid():
    np.testing.assert_array_equal(sample(POINTS[:1] + UTM, 1, bits=12), POINTS[:1] + UTM)


def test_the_device_of_the_loaded_model_is_the_default():
    """A loaded model says where it was put; an argument goes before it."""
    seen = []

    class Watch(Midpoint):
        def candidates(self, points, support, count, context):
            seen.append(context.device)
            return super().candidates(points, support, count, context)

    model = load(Watch())
    model.device = "cuda"
    for verb in (recover, upsample):
        verb(POINTS, 2, model=model)
        verb(POINTS, 2, model=model, device="cpu")
    assert seen == ["cuda", "cpu"] * 2
