"""Point invertible blocks and rescale layers: inverses, logarithms of scales, gradients, what a move changes."""

from __future__ import annotations

import pytest
import torch
from random_weights import randomized

from pcsr_zoo.layers.invertible_scale import InvertibleScale
from pcsr_zoo.layers.pi_block import PIBlock
from pcsr_zoo.layers.rescale_layer import RescaleLayer

KINDS = [(form, space) for form in ("additive", "map") for space in ("positions", "features")]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def halves(channels: int, n: int = 40, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, n, channels, dtype=dtype), torch.randn(2, n, 3 * channels, dtype=dtype)


@pytest.mark.parametrize(("form", "space"), KINDS)
@pytest.mark.parametrize("channels", [3, 12])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_a_block_inverts(form, space, channels, dtype, tolerance):
    block = randomized(PIBlock(channels, 3 * channels, form=form, space=space)).to(dtype)
    kept, offsets = halves(channels, dtype=dtype)
    with torch.no_grad():
        there = block(kept, offsets)
        back = block.inverse(there[0], there[1])
    assert float((there[0] - kept).abs().mean()) > 0.1
    assert float((there[1] - offsets).abs().mean()) > 0.1
    torch.testing.assert_close(back[0], kept, rtol=0, atol=tolerance)
    torch.testing.assert_close(back[1], offsets, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("form", "space"), KINDS)
def test_a_block_begins_as_the_identity(form, space):
    block = PIBlock(12, 36, form=form, space=space).double()
    kept, offsets = halves(12)
    there = block(kept, offsets)
    torch.testing.assert_close(there[0], kept)
    torch.testing.assert_close(there[1], offsets)
    assert float(there[2].detach().abs().max()) == 0


@pytest.mark.parametrize(("form", "space"), KINDS)
def test_the_logarithms_of_the_scales_are_the_volume(form, space):
    """Their sum is the logarithm of the determinant of the Jacobian matrix, which torch has by differentiation."""
    block = randomized(PIBlock(6, 18, hidden=8, growth=4, neighbors=3, form=form, space=space)).double()
    kept, offsets = torch.randn(1, 5, 6).double(), torch.randn(1, 5, 18).double()
    sizes = [kept.numel(), offsets.numel()]

    def run(flat: torch.Tensor) -> torch.Tensor:
        a, b = flat.split(sizes)
        out = block(a.view_as(kept), b.view_as(offsets))
        return torch.cat([out[0].flatten(), out[1].flatten()])

    flat = torch.cat([kept.flatten(), offsets.flatten()])
    expected = torch.linalg.slogdet(torch.autograd.functional.jacobian(run, flat)).logabsdet
    _, _, of_offsets, of_kept = block(kept, offsets)
    found = of_offsets.sum() + (of_kept.sum() if of_kept is not None else 0)
    assert (of_kept is not None) == (form == "map")
    assert abs(float(found.detach())) > 0.01
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("form", "space"), KINDS)
def test_gradients_by_finite_differences(form, space):
    block = randomized(PIBlock(6, 18, hidden=6, growth=3, neighbors=4, form=form, space=space)).double()
    kept, offsets = torch.randn(1, 8, 6).double(), torch.randn(1, 8, 18).double()

    def there(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return block(a, b)[:2]

    inputs = kept.requires_grad_(), offsets.requires_grad_()
    assert torch.autograd.gradcheck(there, inputs, fast_mode=True)
    assert torch.autograd.gradcheck(block.inverse, inputs, fast_mode=True)


@pytest.mark.parametrize(("form", "space"), KINDS)
def test_a_cloud_that_moves_takes_its_kept_points_along(form, space):
    block = randomized(PIBlock(12, 36, form=form, space=space)).double()
    kept, offsets = halves(12)
    move = torch.tensor([5.0, -3.0, 1.0, *[0.0] * 9]).double()
    here, there = block(kept, offsets), block(kept + move, offsets)
    torch.testing.assert_close(here[0] + move, there[0])
    torch.testing.assert_close(here[1], there[1])


def test_f_g_and_h_are_independent():
    """As the paper has it: each map has its own parameters, and H alone sees a neighbor graph of several layers."""
    block = randomized(PIBlock(12, 36, form="map")).double()
    kept, offsets = halves(12)
    owners = {
        "F": (block.shift_kept, lambda: block(kept, offsets)[0]),
        "G": (block.scale_offsets, lambda: block(kept, offsets)[2]),
        "H": (block.shift_offsets, lambda: block(kept, 0 * offsets)[1]),
    }
    parameters = [id(p) for module, _ in owners.values() for p in module.parameters()]
    assert len(parameters) == len(set(parameters))
    for name, (module, output) in owners.items():
        before = output().detach()
        for other, (another, _) in owners.items():
            if other != name and other != "F":  # Q_s' depends on F, so G and H see it
                for parameter in another.parameters():
                    parameter.data += 0.1
                torch.testing.assert_close(output().detach(), before)
                for parameter in another.parameters():
                    parameter.data -= 0.1
        for parameter in module.parameters():
            parameter.data += 0.1
        assert not torch.allclose(output().detach(), before)
        for parameter in module.parameters():
            parameter.data -= 0.1


def test_neighbors_in_feature_space_are_those_of_all_channels():
    """A latent channel that separates two groups far apart keeps them from hearing each other, with "features" only."""
    for space, alone in (("positions", False), ("features", True)):
        block = randomized(PIBlock(6, 18, neighbors=4, space=space)).double()
        block.surroundings.offset.weight.data.zero_()
        kept, offsets = torch.randn(1, 40, 6).double(), torch.randn(1, 40, 18).double()
        kept[:, :20, 3] -= 100
        kept[:, 20:, 3] += 100
        here = block.inverse(kept, offsets)[1]
        kept[:, 20:, 4] += 0.5
        there = block.inverse(kept, offsets)[1]
        assert torch.allclose(here[:, :20], there[:, :20]) == alone
        assert not torch.allclose(here[:, 20:], there[:, 20:])


def test_the_clamp_bounds_the_scales():
    block = randomized(PIBlock(12, 36, form="map", clamp=0.5), size=20.0).double()
    _, _, of_offsets, of_kept = block(*halves(12))
    assert of_kept is not None
    for scale in (of_offsets, of_kept):
        assert 0.45 < float(scale.abs().max()) <= 0.5


def test_invertible_scale():
    scale = InvertibleScale([2.0, 0.5])
    x = torch.randn(3, 4, 2)
    torch.testing.assert_close(scale(x), x * torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(scale.inverse(scale(x)), x)
    scale(x).sum().backward()
    assert scale.logarithm.grad is not None
    torch.testing.assert_close(InvertibleScale([2.0], repeats=2)(x), 2 * x)
    fixed = InvertibleScale([2.0, 0.5], shift=True)
    y = torch.randn(5, 2, requires_grad=True)
    torch.testing.assert_close(fixed.inverse(y, learn=False), fixed.inverse(y))
    fixed.inverse(y, learn=False).sum().backward()
    assert [parameter.grad for parameter in fixed.parameters()] == [None, None]
    torch.testing.assert_close(y.grad[0], torch.tensor([0.5, 2.0]))
    moved = InvertibleScale([2.0, 0.5], shift=True)
    assert moved.shift is not None
    moved.shift.data += torch.tensor([1.0, -3.0])
    torch.testing.assert_close(moved(x), x * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -3.0]))
    torch.testing.assert_close(moved.inverse(moved(x)), x)


@pytest.mark.parametrize("k", [2, 3])
def test_a_rescale_layer_gives_offsets_of_unit_variance_to_begin_with(k):
    """Of a flat cloud whose kept points have the spacing that the layer was told."""
    side = torch.arange(0, 20, 2**-0.5)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=2).reshape(1, -1, 2)
    points = torch.cat([grid + 0.1 * torch.randn_like(grid), 0 * grid[:, :, :1]], dim=2)
    layer = RescaleLayer(3, 2, k=k)
    kept, offsets, volume, picks = layer(points, torch.zeros_like(points), points.shape[1] // 2)
    assert kept.shape == (1, 420, 3)
    assert offsets.shape == (1, 420, 3 * k)
    assert picks.shape == (1, 420)
    torch.testing.assert_close(volume, torch.cat([torch.zeros(3), layer.scale.log_scale]).expand(1, 420, -1))
    variance = float(offsets.unflatten(2, (k, 3))[..., :2].var())  # two of three axes hold all of it
    assert 0.8 < variance < 2.2
    back = layer.inverse(kept, offsets)
    assert float((back[:, :, None] - points[:, None]).norm(dim=3).amin(dim=2).max()) < 1e-5
