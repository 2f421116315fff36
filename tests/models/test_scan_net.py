"""`scan-net`: its mixture by integration, its features, its data, and a short training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scans import room

from pcsr_zoo.datasets.scan_set import ScanSet, build_streets, generated_scan
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.geometry.spinning.scan import find_scans
from pcsr_zoo.models.base import Context
from pcsr_zoo.models.scan_net.features import image_features
from pcsr_zoo.models.scan_net.mixture import best_guess, log_likelihood
from pcsr_zoo.models.scan_net.model import ScanNet
from pcsr_zoo.models.scan_net.network import HYPOTHESES, ScanNetwork


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> ScanSet:
    path = tmp_path_factory.mktemp("data") / "streets.npz"
    build_streets(path, 4, held_out=0.3)
    return ScanSet.load(path)


def test_the_density_is_that_of_torch_distributions():
    torch.manual_seed(0)
    weights = torch.randn(5, 3).log_softmax(dim=1)
    centers, scales, at = torch.randn(5, 3), torch.randn(5, 3), torch.randn(5)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=weights), torch.distributions.Laplace(centers, scales.exp())
    )
    torch.testing.assert_close(log_likelihood(at, centers, weights, scales), mixture.log_prob(at))


def test_the_confidence_is_the_probability_of_a_tenth_of_a_meter():
    log = torch.tensor([[2.0, 2.3]], dtype=torch.float64)
    weights = torch.tensor([[0.7, 0.3]], dtype=torch.float64).log()
    scales = torch.tensor([[0.01, 0.02]], dtype=torch.float64).log()
    zero = torch.zeros_like(log)
    ranges, confidence = best_guess(log, log > 0, weights, zero, scales, torch.tensor([1.0], dtype=torch.float64))
    assert float(ranges) == pytest.approx(np.exp(2.0))
    at = torch.linspace(2 - 0.1 / float(ranges), 2 + 0.1 / float(ranges), 200_001, dtype=torch.float64)
    density = log_likelihood(at, log.expand(len(at), 2), weights.expand(len(at), 2), scales.expand(len(at), 2)).exp()
    within = float(torch.trapezoid(density, at))
    assert float(confidence) == pytest.approx(within / (1 + np.exp(-1.0)), rel=1e-6)


def test_what_is_impossible_is_not_chosen():
    torch.manual_seed(0)
    network = ScanNetwork(6)
    possible = torch.zeros(7, HYPOTHESES, dtype=torch.bool)
    possible[:, 4] = True
    weights, *rest = network.decode(torch.randn(7, 6), torch.randn(7, 6), torch.randn(7, 21), possible)
    assert (weights.argmax(dim=1) == 4).all()
    torch.testing.assert_close(weights.exp().sum(dim=1), torch.ones(7))
    log = torch.randn(7, HYPOTHESES)
    ranges, _ = best_guess(log, possible, weights, *rest)
    assert torch.allclose(ranges.log(), log[:, 4] + rest[0][:, 4])


def test_a_turn_has_no_seam():
    """Features of a turned image are turned features, if the columns are a multiple of four."""
    torch.manual_seed(0)
    network, image = ScanNetwork(6), torch.randn(1, 10, 5, 64)
    with torch.no_grad():
        found = network.encode(image, True)
        turned = network.encode(image.roll(12, dims=3), True)
        assert network.encode(torch.randn(1, 10, 5, 63), True).shape == (1, 6, 5, 63)
    torch.testing.assert_close(turned, found.roll(12, dims=3))


def test_features_of_an_image():
    inverse, found = np.full((3, 8), 0.1), np.ones((3, 8), bool)
    found[1, 2] = False
    elevation = np.repeat([[-0.2], [-0.1], [0.1]], 8, axis=1)
    image = image_features(inverse, elevation, found)
    assert image.shape == (10, 3, 8)
    assert (image[0] == found).all()
    assert image[1, 0, 0] == pytest.approx(np.log(10) / 3)
    assert image[3, :, 0] == pytest.approx([0, 2, 4])
    assert image[4, :, 0] == pytest.approx([2, 4, 0])
    assert (image[5:9] == 0).all()  # all ranges are equal
    assert image[9, 0, 0] == pytest.approx(np.arcsinh(10 * np.sin(-0.2)))
    assert (image[[0, 1, 9], 1, 2] == 0).all()


def test_the_training_file(data, tmp_path):
    again = generated_scan(0, 2)
    assert np.abs(data.scans[2].ranges - again.ranges).max() <= 0.0011  # steps of 2 mm
    assert np.array_equal(data.scans[2].elevations, again.elevations)
    assert {shape.license_class for shape in data.shapes} == {"permissive"}
    assert all((scan.ranges > 0).mean() > 0.5 for scan in data.scans)
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK no archive")
    for path in (broken, tmp_path / "missing.npz"):
        with pytest.raises(FileError, match=path.name):
            ScanSet.load(path)
    np.savez(broken, coarse=np.zeros(3), about=np.zeros(3, np.uint8))
    with pytest.raises(FileError, match="broken"):
        ScanSet.load(broken)


def test_withheld_rings_are_the_truth(data):
    recipe = ScanNet(6).recipe(columns=64, rings=6, losses=[0.0])
    examples = recipe.examples(data, 3, 0, 0, 2)
    again = recipe.examples(data, 3, 0, 0, 2)
    assert all(torch.equal(examples[name], again[name]) for name in examples)
    assert examples["image"].shape[:2] == (2, 10)
    assert examples["range"].shape == examples["possible"].shape[:3]
    errors = (examples["log"][..., 0].exp() - examples["range"]).abs()
    both = examples["possible"][..., 0] & (examples["range"] > 0)
    assert float(errors[both].median()) < 0.1  # most withheld rays lie on the surface through their neighbors
    for bad in ({"spacings": [1]}, {"spacings": []}, {"columns": 3}):
        with pytest.raises(OptionError):
            ScanNet(6).recipe(**bad)


def test_training_lowers_the_loss(data):
    torch.manual_seed(0)
    model = ScanNet(6)
    recipe = model.recipe(columns=64, rings=6)
    networks = recipe.networks()
    before = recipe.validate(networks, data, 0, torch.device("cpu"))
    optimizer = torch.optim.Adam(model.network.parameters(), 3e-3)
    for step in range(15):
        loss, figures = recipe.loss("network", networks, recipe.examples(data, step, 0, 0, 2), step / 15)
        assert float(figures["loss"]) == pytest.approx(float(figures["likelihood"] + figures["returns"]), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = recipe.validate(networks, data, 0, torch.device("cpu"))
    assert set(after) == {"score", "near2", "near4", "false2", "false4"} == set(ScanNet.figures)
    assert after["score"] < before["score"] - 0.2


def test_ranges_of_a_room():
    """With an untrained network all hypotheses weigh the same, and the range is one of them."""
    torch.manual_seed(0)
    cloud, _ = room()
    (scan,) = find_scans(cloud)
    kept = scan.keep(np.arange(0, 17, 2))
    held = scan.ring % 2 == 1
    azimuth, elevation, truth = scan.polar[held].T
    model, context = ScanNet(6), Context()
    ranges, confidence = model.ranges(kept, scan.ring[held] // 2, elevation, azimuth, context)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert np.median(np.abs(ranges / truth - 1)) < 0.02
    again, _ = model.ranges(kept, scan.ring[held] // 2, elevation, azimuth, context)
    assert (again == ranges).all()
