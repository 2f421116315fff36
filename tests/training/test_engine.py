"""The engine in one process: its steps, parts, averages, examples and precisions."""

from __future__ import annotations

import pytest
import torch
from toy_training import QUICK, Net, PatchRecipe, ToyPatches, one_thread, same, weights, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import OptionError, TrainingError
from pcsr_zoo.training import Settings, train
from pcsr_zoo.training.devices import make_fabric, on_device
from pcsr_zoo.training.ema import EMA
from pcsr_zoo.training.engine import Engine
from pcsr_zoo.training.examples import auto_workers, example_stream


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


def test_workers_never_change_the_stream(path):
    data, recipe = TrainingSet.load(path), PatchRecipe(Net(4, 2, 0, True), 32, 0, ())
    settings = Settings(steps=7, batch=6, accumulate=3, seed=5)

    def drawn(workers, start=0, rank=0, world=1):
        from dataclasses import replace

        stream = example_stream(recipe, data, replace(settings, workers=workers), start, rank, world, False)
        return [[piece["sparse"] for piece in pieces] for pieces in stream]

    alone = drawn(0)
    assert len(alone) == 7
    assert [len(pieces) for pieces in alone] == [3] * 7
    for other in (drawn(1), drawn(3)):
        assert all(torch.equal(a, b) for x, y in zip(alone, other, strict=True) for a, b in zip(x, y, strict=True))
    assert torch.equal(drawn(0, start=4)[0][2], alone[4][2])
    # two processes share out what one draws, in the pieces' order
    whole = torch.cat(alone[2])
    ranks = [drawn(0, rank=rank, world=2)[2] for rank in (0, 1)]
    assert torch.equal(torch.cat([piece for pair in zip(*ranks, strict=True) for piece in pair]), whole)
    assert 0 <= auto_workers(1) <= 8


def test_the_average_follows_its_formula():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    ema = EMA(network, 0.5)
    wanted = network[0].weight.detach().double().clone()
    for t in range(8):
        with torch.no_grad():
            network[0].weight.add_(torch.randn(3, 2))
            network[1].running_mean.fill_(t)
        ema.update()
        keep = min(0.5, (1 + t) / (10 + t))
        wanted = keep * wanted + (1 - keep) * network[0].weight.detach().double()
    assert torch.allclose(ema.module[0].weight.double(), wanted, atol=1e-6)
    assert (ema.module[1].running_mean == 7).all()
    assert not ema.module.training
    assert not any(p.requires_grad for p in ema.module.parameters())
    off = EMA(network, 0.0)
    with torch.no_grad():
        network[0].weight.add_(1)
    off.update()
    assert torch.equal(off.module[0].weight, network[0].weight)


class HalvesRecipe(PatchRecipe):
    """Two parts of one network, each with an optimizer of its own, and a helper that does not ship."""

    parts = ("second", "helper", "first")

    def __init__(self, network, points, jitter, bad):
        super().__init__(network, points, jitter, bad)
        self.helper = torch.nn.Linear(3, 3)
        self.validated = []

    def networks(self):
        return {"first": self.network.first, "second": self.network.second, "helper": self.helper}

    def upsampled(self, networks, sparse):
        offsets = networks["second"](networks["first"](sparse).relu()).reshape(*sparse.shape[:2], 2, 3)
        return (sparse[:, :, None] + offsets).flatten(1, 2)

    def loss(self, part, networks, examples, done):
        made = self.upsampled(networks, examples["sparse"])
        return (made - networks["helper"](made.detach())).square().mean() + (made - 1).square().mean(), {}

    def validate(self, networks, data, seed, device):
        self.validated.append({part: (module, module.training) for part, module in networks.items()})
        return {"size": float(networks["second"].weight.norm())}


def test_every_part_that_ships_is_averaged(path, tmp_path, monkeypatch):
    """By the formula, from the weights after each step; the part that helps is validated as it is."""
    made, seen = [], []

    def recipe(self):
        made.append(HalvesRecipe(self.network, 32, 0.0, ()))
        return made[-1]

    step = Engine.step

    def watched(self, *arguments):
        done = step(self, *arguments)
        seen.append({part: module.weight.detach().double().clone() for part, module in self.modules.items()})
        return done

    monkeypatch.setattr(ToyPatches, "recipe", recipe)
    monkeypatch.setattr(Engine, "step", watched)
    model = ToyPatches(8)
    wanted = {part: getattr(model.network, part).weight.detach().double().clone() for part in ("first", "second")}
    settings = {**QUICK, "steps": 6, "ema": 0.5, "save_every": 2}
    outcome = train(model, path, tmp_path / "r", settings=settings)
    for t, weights_then in enumerate(seen):
        keep = min(0.5, (1 + t) / (10 + t))
        wanted = {part: keep * value + (1 - keep) * weights_then[part] for part, value in wanted.items()}
    shipped = weights(tmp_path / "r")
    for part, value in wanted.items():
        assert torch.allclose(shipped[f"{part}.weight"].double(), value, atol=1e-6)
        assert not torch.allclose(value, seen[-1][part], atol=1e-6)
    assert outcome.figures["size"] == pytest.approx(float(shipped["second.weight"].norm()))
    (validated,) = made[0].validated
    assert {part: training for part, (_, training) in validated.items()} == dict.fromkeys(HalvesRecipe.parts, False)
    assert validated["helper"][0] is made[0].helper
    assert made[0].helper.training
    # resumed as well: the average of all parts is in the state
    assert train(model, path, tmp_path / "r", settings=settings).resumed == 6


def test_a_recipe_needs_the_truth_unless_it_says_otherwise(path):
    recipe = ToyPatches(8).recipe()
    assert not recipe.learns_from_scans
    with pytest.raises(OptionError, match="PatchRecipe needs ground truth"):
        recipe.for_scan(512)

    class Scans(PatchRecipe):
        def for_scan(self, points):
            return {"points": points // 4}

    scans = Scans(recipe.network, 32, 0.0, ())
    assert scans.learns_from_scans
    assert scans.for_scan(512) == {"points": 128}


def engine(recipe, **settings):
    return Engine(recipe, Settings(warmup=0, schedule="constant", **settings), make_fabric("cpu", "32"))


def test_a_step_is_that_of_plain_torch(path):
    """Against a loop written out, clipping included, with pieces and without."""
    data = TrainingSet.load(path)
    for accumulate in (1, 2):
        torch.manual_seed(0)
        model = ToyPatches(8, 2, 0.0, norm=False)
        mine, plain = model.network, ToyPatches(8, 2, 0.0, norm=False).network
        plain.load_state_dict(mine.state_dict())
        recipe = PatchRecipe(mine, 32, 0.0, ())
        it = engine(recipe, optimizer="adam", weight_decay=0.0, clip=0.01, lr=0.01, batch=4, accumulate=accumulate)
        optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
        for step in range(3):
            count = 4 // accumulate
            pieces = [recipe.examples(data, step, 0, k * count, count) for k in range(accumulate)]
            told = it.step(pieces, step)
            loss, _ = recipe.loss("network", {"network": plain}, recipe.examples(data, step, 0, 0, 4), 0)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.01)
            optimizer.step()
            assert float(told.figures["network/loss"]) == pytest.approx(loss.item(), rel=1e-5)
            assert float(told.figures["network/gradient"]) == pytest.approx(float(norm), rel=1e-4)
            assert told.figures["network/lr"] == 0.01
        for a, b in zip(mine.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_parts_take_turns(path, tmp_path):
    """A part's step moves its own parameters only, at its own rate; frozen ones stay frozen."""
    data = TrainingSet.load(path)
    recipe = ToyPatches(8).recipe(pair=True)
    critic = recipe.networks()["critic"]
    critic[0].bias.requires_grad_(False)
    it = engine(recipe, batch=4, part_lr={"critic": 1e-9})
    before = {name: p.detach().clone() for name, p in critic.named_parameters()}
    moved = [p.detach().clone() for p in it.modules["network"].first.parameters()]
    told = it.step([recipe.examples(data, 0, 0, 0, 4)], 0)
    assert told.figures["critic/lr"] == 1e-9
    assert told.figures["network/lr"] == 1e-3
    assert "network/fooled" in told.figures
    for name, p in critic.named_parameters():
        assert torch.allclose(p, before[name], atol=1e-7)
        assert p.requires_grad == (name != "0.bias")
    assert all(not torch.equal(a, b) for a, b in zip(moved, it.modules["network"].first.parameters(), strict=True))
    assert it.modules["network"].unused.weight.grad is None
    settings = {**QUICK, "steps": 30, "part_lr": {"critic": 1e-3}, "validate_every": 5}
    outcome = train("toy-patches", path, tmp_path / "r", settings=settings, recipe={"pair": True})
    assert outcome.figures["chamfer"] < 0.1


def test_bad_steps_are_skipped_and_counted(path, tmp_path):
    settings = {**QUICK, "steps": 12, "patience": 3}
    outcome = train("toy-patches", path, tmp_path / "a", settings=settings, recipe={"bad": [2, 3, 7]})
    assert outcome.skipped == 3
    assert read_config(tmp_path / "a")["about"]["skipped_steps"] == 3
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "a").values())
    with pytest.raises(TrainingError, match=r"3 consecutive steps, up to step 8.*training\.lr"):
        train("toy-patches", path, tmp_path / "b", settings={**settings, "save_every": 2}, recipe={"bad": [5, 6, 7, 8]})
    assert pcsr_zoo.load(str(tmp_path / "b"))  # of a step before


def test_a_skipped_step_changes_nothing(path):
    data = TrainingSet.load(path)
    recipe = PatchRecipe(ToyPatches(8).network, 32, 0.0, (1,))
    it = engine(recipe, batch=2)
    it.step([recipe.examples(data, 0, 0, 0, 2)], 0)
    before = {name: value.clone() for name, value in it.modules["network"].state_dict().items()}
    for step, poison in ((1, 1.0), (2, float("nan"))):  # a bad loss; bad examples, which batch norm sees, too
        examples = recipe.examples(data, step, 0, 0, 2)
        told = it.step([{**examples, "sparse": examples["sparse"] * poison}], step)
        assert not told.finite
        assert same(before, it.modules["network"].state_dict())
    assert it.step([recipe.examples(data, 3, 0, 0, 2)], 3).finite
    assert not same(before, it.modules["network"].state_dict())


def test_sixteen_bits_scale_their_gradients(path):
    """Fabric's 16-bit plugin on a CPU, as on a GPU: bad steps lower the scale, the others train as in 32 bits."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import MixedPrecision

    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", device="cpu")])
    fabric.launch()
    data = TrainingSet.load(path)
    torch.manual_seed(0)
    half, full = (PatchRecipe(ToyPatches(8, dropout=0.0, norm=False).network, 32, 0.0, (2,)) for _ in range(2))
    full.network.load_state_dict(half.network.state_dict())
    settings = Settings(warmup=0, schedule="constant", batch=2, lr=1e-2, clip=0.01, precision="16")
    scaled, plain = Engine(half, settings, fabric), engine(full, batch=2, lr=1e-2, clip=0.01)
    scale = scaled.scaler.get_scale()
    assert plain.scaler is None
    for step in range(6):
        examples = half.examples(data, step, 0, 0, 2)
        finite = [it.step([examples], step).finite for it in (scaled, plain)]
        assert finite == ([False, False] if step == 2 else [True, True])
    assert scaled.scaler.get_scale() == scale / 2
    for a, b in zip(half.network.parameters(), full.network.parameters(), strict=True):
        assert torch.allclose(a, b, atol=0.01)
    assert half.network.first.weight.dtype == torch.float32


def test_mixed_precision_keeps_positions(path, tmp_path):
    fabric = make_fabric("cpu", "bf16")
    seen = {}

    class Probe(torch.nn.Linear):
        def encode(self, x):
            seen["input"], seen["product"] = x.dtype, (x @ self.weight.T).dtype
            return x @ self.weight.T

        def forward(self, x):
            return self.encode(x)

    wrapped = on_device(fabric, Probe(3, 3))
    x = torch.full((2, 3), 1.001)
    for call in (wrapped, wrapped.encode):
        out = call(x)
        assert seen == {"input": torch.float32, "product": torch.bfloat16}
        assert out.dtype == torch.float32
    assert wrapped.in_features == 3
    assert len(list(wrapped.parameters())) == 2
    settings = {**QUICK, "steps": 30, "precision": "bf16", "validate_every": 10, "validate_first": True}
    outcome = train("toy-patches", path, tmp_path / "r", settings=settings)
    assert outcome.figures["chamfer"] < 0.6 * outcome.before["chamfer"]
    assert all(value.dtype == torch.float32 for name, value in weights(tmp_path / "r").items() if "num" not in name)
