"""PointLIE's network: shapes, the whole way there and back, what it does not depend on, its size."""

from __future__ import annotations

import pytest
import torch
from random_weights import randomized

from pcsr_zoo.errors import OptionError
from pcsr_zoo.layers.decomposition import decompose
from pcsr_zoo.layers.picking import farthest_points, gather
from pcsr_zoo.models.pointlie.model import PointLIE
from pcsr_zoo.models.pointlie.network import PointLIENetwork


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def sphere(n: int, batch: int = 1, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Even points on unit spheres."""
    points = torch.randn(batch, 4 * n, 3, dtype=dtype)
    points = points / points.norm(dim=2, keepdim=True)
    return gather(points, farthest_points(points, n))[:, torch.randperm(n)]


def small(scale: int = 3, **options) -> PointLIENetwork:
    return randomized(PointLIENetwork(scale, blocks=2, hidden=16, growth=6, neighbors=8, **options), size=0.7)


def nearest_of(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances (N,) from points a (1, N, 3) to the nearest of b; without the shortcut that torch takes for many."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")[0].amin(dim=1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_channels_are_those_of_the_paper(scale):
    """3 -> 12 -> 48 -> 192 -> 768, so z has 9, 45, 189, 765 channels; the points are halved each time."""
    network = small(scale)
    seen = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, given, out: seen.append((given[0].shape, out[0].shape, out[1].shape)))
    sampled = network(sphere(256, 2).float(), 256 >> scale)
    for i, (given, kept, offsets) in enumerate(seen):
        n, d = 256 >> i, 3 * 4**i
        assert (given, kept, offsets) == ((2, n, d), (2, n // 2, d), (2, n // 2, 3 * d))
    assert sampled.points.shape == (2, 256 >> scale, 3)
    assert sampled.latent.shape == sampled.volume.shape == (2, 256 >> scale, [9, 45, 189, 765][scale - 1])
    assert network.recover(sampled.points, sampled.latent, 256).shape == (2, 256, 3)


@pytest.mark.parametrize("form", ["additive", "map"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_the_stack_of_blocks_of_each_layer_inverts(form, dtype, tolerance):
    network = small(form=form).to(dtype)
    features = sphere(512, dtype=dtype) / 0.3
    with torch.no_grad():
        for layer, n in zip(network.layers, (256, 128, 64), strict=True):
            found = decompose(features, n, start=0)
            kept, offsets = found.kept, layer.scale(found.offsets)
            a, b = kept, offsets
            for block in layer.blocks:
                a, b, _, _ = block(a, b)
            features = torch.cat([a, b], dim=2)
            assert float((a - kept).abs().mean()) > 0.1
            for block in reversed(layer.blocks):
                a, b = block.inverse(a, b)
            torch.testing.assert_close(a, kept, rtol=0, atol=tolerance)
            torch.testing.assert_close(layer.scale.inverse(b), found.offsets, rtol=0, atol=tolerance)


def test_the_true_z_brings_back_all_points_that_were_not_lost_and_a_drawn_one_does_not():
    options = {"space": "positions", "graph": "positions"}  # in feature space more points are lost
    points, network = sphere(512), small(**options).double().requires_grad_(False)
    sampled = network(points, 64)
    back = network.recover(sampled.points, sampled.latent, 512, sampled.unit)
    # A point that is nobody's neighbor is lost. Another one is there twice in its place, whose neighbors, one layer
    # further back, do not see the same neighborhood as on the way there.
    assert float((nearest_of(points, back) < 1e-8).double().mean()) > 0.5
    assert float(nearest_of(points, back).quantile(0.4)) < 1e-12
    z = torch.randn_like(sampled.latent)
    drawn = network.recover(sampled.points, z, 512, sampled.unit)
    assert float((nearest_of(drawn, points) < 1e-8).double().mean()) < 0.01


def test_an_untrained_network_keeps_the_picks_of_farthest_point_sampling():
    points, network = sphere(256), PointLIENetwork(2).double()
    sampled = network(points, 64)
    torch.testing.assert_close(sampled.points, gather(points, farthest_points(points, 64)))
    assert 0.5 < float(sampled.latent.detach().std()) < 1.5
    assert network(points, 64, sampled.picks).points.equal(sampled.points)


def test_the_volume_is_that_of_the_scales_on_the_way():
    """With all blocks the identity, entries of z are scaled by the layers through which they came."""
    network = PointLIENetwork(2).double()
    sampled = network(sphere(128), 32)
    first, second = (layer.scale.log_scale.detach() for layer in network.layers)
    first = torch.cat([torch.zeros(3).double(), first])  # of the 12 channels after the first layer
    expected = torch.cat([first, first.repeat(3) + second])[3:]
    torch.testing.assert_close(sampled.volume, expected.expand_as(sampled.volume))


@pytest.mark.parametrize("space", ["positions", "features"])
def test_moved_and_scaled_clouds(space):
    points, network = sphere(256), small(2, space=space, graph=space).double()
    noise = torch.randn(1, 64, 45).double()
    here = network(points, 64)
    dense = network.recover(here.points, noise, 256)
    move = torch.tensor([3.0, -5.0, 1.0]).double()
    there = network(7 * points + move, 64)
    torch.testing.assert_close(there.points, 7 * here.points + move)
    torch.testing.assert_close(there.latent, here.latent)
    moved = network.recover(there.points, noise, 256)
    torch.testing.assert_close(moved, 7 * dense + move)


def test_order_does_not_matter():
    points, network = sphere(256), small(2).double()
    order, noise = torch.randperm(64), torch.randn(1, 64, 45).double()
    here = network(points, 64)
    torch.testing.assert_close(network(points[:, torch.randperm(256)], 64).points, here.points)
    a = network.recover(here.points, noise, 256)
    shuffled = here.points[:, order]
    b = network.recover(shuffled, noise[:, order], 256)
    torch.testing.assert_close(a, b)


def test_examples_of_a_batch_know_nothing_of_each_other():
    points, network = sphere(128, batch=3), small(2).double()
    points = points * torch.tensor([1.0, 5.0, 0.2])[:, None, None]
    together = network(points, 32)
    for b in range(3):
        alone = network(points[b : b + 1], 32)
        torch.testing.assert_close(together.points[b : b + 1], alone.points)
        torch.testing.assert_close(together.latent[b : b + 1], alone.latent)


def test_the_normalization_of_z_counts_in_its_volume():
    network = small(2).double()
    with torch.no_grad():
        before = network(sphere(128), 32)
        network.normalization.logarithm += 0.5
        network.normalization.shift += 2.0
        after = network(sphere(128), 32)
    torch.testing.assert_close(after.volume - before.volume, torch.full_like(before.volume, 0.5), rtol=0, atol=1.0)


def test_any_counts():
    network = small(3)
    assert network.counts(800, 100) == [800, 400, 200, 100]
    assert network.counts(500, 100) == [500, 292, 171, 100]
    points = sphere(90).float()
    for n in (1, 7, 45, 89, 90):
        sampled = network(points, n)
        assert sampled.points.shape == (1, n, 3)
        assert bool(torch.isfinite(sampled.points).all())
        assert network.candidates(sampled.points, sampled.latent).shape == (1, 16 * n, 3)


def test_options_are_checked():
    for options in ({"form": "other"}, {"space": "other"}, {"graph": "other"}, {"blocks": 0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            PointLIENetwork(**options)


def parameters(**arguments) -> list[int]:
    return [sum(p.numel() for p in PointLIE(ratio, **arguments).network.parameters()) for ratio in (4, 8, 16)]


def test_sizes_are_those_that_the_docstring_gives():
    assert [round(n / 1e5) for n in parameters()] == [4, 4, 11]
    paper = parameters(hidden=288)
    assert sum(paper) / 3 == pytest.approx(6.1e6, rel=0.01)
