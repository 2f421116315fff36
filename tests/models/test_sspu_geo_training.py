"""How `sspu-geo` is trained: what the loss sees, what it is made of, and that it teaches something."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from toy_training import one_thread, write_toy_data  # noqa: E402, F401

from pcsr_zoo import load  # noqa: E402
from pcsr_zoo.datasets.training_set import TrainingSet  # noqa: E402
from pcsr_zoo.errors import OptionError, TrainingError  # noqa: E402
from pcsr_zoo.losses.surface import heights  # noqa: E402
from pcsr_zoo.models.sspu_geo import recipe as sspu_geo_recipe  # noqa: E402
from pcsr_zoo.models.sspu_geo.model import SSPUGeo  # noqa: E402
from pcsr_zoo.training import train  # noqa: E402

SMALL = {"width": 16, "growth": 4, "blocks": 2, "hidden": 16}
OPTIONS = {"points": 64, "clouds": [200, 300], "pixels": 12}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TrainingSet:
    path: Path = tmp_path_factory.mktemp("sspu") / "train.npz"
    return TrainingSet.load(write_toy_data(path, points=2048))


def small(seed: int = 0, **options):
    torch.manual_seed(seed)
    model = SSPUGeo(**SMALL)
    return model, model.recipe(**{**OPTIONS, **options})


def loss_of(recipe, examples):
    return recipe.loss("network", recipe.networks(), examples, 0.0)


def test_no_ground_truth_enters_the_loss(data, monkeypatch):
    """With everything but the sparse points poisoned, loss and gradients are the same, to the last bit."""

    def run():
        model, recipe = small()
        loss, terms = loss_of(recipe, recipe.examples(data, 3, 0, 0, 2))
        loss.backward()
        return loss, terms, [p.grad.clone() for p in model.network.parameters()]

    expected = run()
    drawn = []

    def poisoned(*args, **options):
        batch = sspu_geo_recipe_draw(*args, **options)
        names = [field.name for field in dataclasses.fields(batch) if field.name != "sparse"]
        drawn.append(batch.sparse.shape)
        return dataclasses.replace(batch, **{name: np.full(2, np.nan) for name in names})

    sspu_geo_recipe_draw = sspu_geo_recipe.draw
    monkeypatch.setattr(sspu_geo_recipe, "draw", poisoned)
    loss, terms, gradients = run()
    assert torch.isfinite(loss)
    torch.testing.assert_close(loss, expected[0], rtol=0, atol=0)
    assert list(terms) == ["shape", "image", "hausdorff", "uniform", "surface", "cover", "loss"]
    for mine, other in zip(gradients, expected[2], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
    assert drawn
    assert all(200 <= size <= 300 for _, size, _ in drawn)


def test_few_sparse_clouds_are_all_that_is_known_of_a_shape(data):
    """However long it is trained; the patches of all steps are made of the points of four clouds."""
    _, recipe = small()
    clouds = [recipe._sparse(data, 0, version, 0) for version in range(4)]
    assert sum(map(len, clouds)) <= 4 * 300
    for step in range(3):
        recipe.examples(data, step, 0, 0, 8)
    assert len(recipe._known[1]) <= 4 * len(data.train)
    again = small()[1]._sparse(data, 0, 2, 0)  # whatever was drawn before
    np.testing.assert_array_equal(again, clouds[2])


def test_examples_depend_on_their_number_alone(data):
    _, recipe = small()
    all_of_them = recipe.examples(data, 5, 1, 0, 4)
    some = small()[1].examples(data, 5, 1, 2, 2)
    for name, values in some.items():
        torch.testing.assert_close(values, all_of_them[name][2:], rtol=0, atol=0)
    assert all_of_them["cloud"].shape == (4, 128, 3)
    assert all_of_them["given"].shape == (4, 64, 3)
    for given, cloud in zip(all_of_them["given"], all_of_them["cloud"], strict=True):
        apart = torch.cdist(given, cloud, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
        assert apart.max() == 0
        assert len(torch.unique(given, dim=0)) == 64
    assert (all_of_them["cloud"].norm(dim=2).amax(dim=1) - 1).abs().max() < 1e-6


def test_weights_are_the_papers_and_zero_leaves_a_term_out(data):
    _, recipe = small()
    weights = {"shape": 100, "image": 30, "hausdorff": 10, "uniform": 25}
    assert {name: recipe.weights[name] for name in weights} == weights
    examples = recipe.examples(data, 0, 0, 0, 1)
    loss, terms = loss_of(recipe, examples)
    assert float(loss) == pytest.approx(sum(recipe.weights[name] * float(terms[name]) for name in recipe.weights))
    _, fewer = small(image=0.0, surface=0.0)
    assert set(loss_of(fewer, examples)[1]) == {"shape", "hausdorff", "uniform", "cover", "loss"}


def test_the_paper_to_the_letter(data):
    """All of S is given, D is what the network makes of it, and there are the four published terms."""
    torch.manual_seed(0)
    model = SSPUGeo(copies=4, **SMALL)
    recipe = model.recipe(**OPTIONS, given=1.0, keep=False, surface=0.0, cover=0.0)
    examples = recipe.examples(data, 0, 0, 0, 2)
    torch.testing.assert_close(examples["given"].sort(dim=1).values, examples["cloud"].sort(dim=1).values)
    places = model.network(examples["given"]).positions.flatten(1, 2)
    assert recipe._dense(places, examples["given"]).shape == (2, 4 * 64, 3)
    assert set(loss_of(recipe, examples)[1]) == {"shape", "image", "hausdorff", "uniform", "loss"}


def test_d_is_what_users_get(data):
    """The given points and, of the candidates, those that cover best beside them."""
    model, recipe = small()
    given = recipe.examples(data, 0, 0, 0, 1)["given"]
    with torch.no_grad():
        dense = recipe._dense(model.network(given).positions.flatten(1, 2), given)
    assert dense.shape == (1, 4 * 64, 3)
    torch.testing.assert_close(dense[:, :64], given)
    users = torch.from_numpy(load(model, allow_untrained=True).upsample(given[0].double().numpy(), 4))
    apart = torch.cdist(dense[0].double(), users).amin(dim=1)
    assert (apart < 1e-4).double().mean() > 0.95


def test_heights_are_learned_from_the_surface_alone(data):
    _, recipe = small()
    examples = recipe.examples(data, 0, 0, 0, 1)
    pulls = []
    for surface in (1e-30, 0.0):  # as good as nothing, and a term that is left out
        _, recipe = small(surface=surface)
        loss_of(recipe, examples)[0].backward()
        pulls.append(float(recipe.network.above[-1].weight.grad.abs().max()))
    assert pulls[0] < 1e-5 * pulls[1]


def test_training_brings_it_nearer_to_surfaces_that_it_was_not_given(data):
    model, recipe = small(clouds=[150, 200])
    held_out = recipe._examples(data.points(data.held_out[0])[None, ::10].astype(np.float32), 0, 0, 0)

    def off() -> float:
        with torch.no_grad():
            places = model.network(held_out["given"]).positions.flatten(1, 2)
        return float(heights(places, held_out["cloud"], held_out["normals"]).mean())

    before = off()
    optimizer = torch.optim.Adam(model.network.parameters(), 3e-3)
    losses = []
    for step in range(30):
        loss, _ = loss_of(recipe, recipe.examples(data, step, 0, 0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-8:]) < np.mean(losses[:8])
    assert off() < 0.97 * before


def test_validation_judges_by_points_that_were_left_out(data, monkeypatch):
    _, recipe = small()
    found = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
    assert list(found) == ["score", "height", "gap", "truth_distance"]
    assert found["score"] == pytest.approx(4 * found["height"] + found["gap"])
    assert 0.1 < found["gap"] < 0.8
    # the truth is for the report alone
    monkeypatch.setattr(sspu_geo_recipe, "_to_truth", lambda *_: float("nan"))
    without = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
    assert without["score"] == found["score"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": 0.1}, "given must be from 1 / ratio, 0.25, to 1, got 0.1"),
        ({"points": 8}, "points must be at least 32"),
        ({"clouds": [500, 100]}, "clouds"),
        ({"shape": -1.0}, "must not be negative"),
        ({"shape": 0, "image": 0, "hausdorff": 0, "uniform": 0, "surface": 0, "cover": 0}, "at least one weight"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(OptionError, match=message):
        small(**options)


def test_arguments():
    with pytest.raises(OptionError, match=r"ratio.*16"):
        SSPUGeo(ratio=16)
    with pytest.raises(OptionError, match="copies must be at least the ratio"):
        SSPUGeo(copies=2)
    assert SSPUGeo(ratio=2, **SMALL).max_step == 2
    model = load(SSPUGeo(ratio=2, **SMALL), allow_untrained=True)
    assert len(model.upsample(np.random.default_rng(0).normal(size=(40, 3)), 16)) == 640


def test_a_training_file_of_small_clouds_is_taken(tmp_path):
    """A scan of fewer points than a patch asks for."""
    data = TrainingSet.load(write_toy_data(tmp_path / "few.npz", points=256))
    torch.manual_seed(0)
    recipe = SSPUGeo(**SMALL).recipe(pixels=12)
    examples = recipe.examples(data, 0, 0, 0, 1)
    assert examples["cloud"].shape == (1, 256, 3)
    assert examples["given"].shape == (1, 128, 3)
    assert torch.isfinite(loss_of(recipe, examples)[0])


def test_a_training_that_diverges_ends_with_the_advice_of_the_trainer(data, tmp_path):
    """Whatever the network makes of it: candidates that are NaN must not end in an error of the geometry."""
    model, recipe = small()
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.fill_(float("nan"))
    loss, terms = loss_of(recipe, recipe.examples(data, 0, 0, 0, 1))
    loss.backward()
    assert not torch.isfinite(loss)
    assert list(terms) == ["loss"]
    figures = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
    assert next(iter(figures.values())) == float("inf")
    assert figures.keys() == small()[1].validate(small()[1].networks(), data, 0, torch.device("cpu")).keys()

    path = write_toy_data(tmp_path / "train.npz", points=2048)
    settings = {"steps": 40, "batch": 1, "lr": 1e6, "warmup": 0, "clip": 0, "ema": 0, "workers": 0, "validate_every": 5}
    with pytest.raises(TrainingError, match=r"training\.lr"):
        train("sspu-geo", path, tmp_path / "r", arguments=SMALL, recipe=OPTIONS, settings={**settings, "patience": 3})


def test_it_is_trained_in_bfloat16(data, tmp_path):
    path = write_toy_data(tmp_path / "train.npz", points=2048)
    settings = {"steps": 3, "batch": 1, "warmup": 0, "workers": 0, "precision": "bf16"}
    outcome = train("sspu-geo", path, tmp_path / "r", arguments=SMALL, recipe=OPTIONS, settings=settings)
    assert outcome.skipped == 0
    assert np.isfinite(list(outcome.figures.values())).all()


def test_the_network_is_moved_outside_of_inference_mode(monkeypatch):
    """Parameters that inference mode makes anew, on another device, could not be trained any more."""
    model, modes = SSPUGeo(**SMALL), []
    move = model.network.to

    def to(*args, **options):
        modes.append(torch.is_inference_mode_enabled())
        return move(*args, **options)

    monkeypatch.setattr(model.network, "to", to)
    load(model, allow_untrained=True).upsample(np.random.default_rng(0).normal(size=(40, 3)), 4)
    assert modes
    assert not any(modes)
