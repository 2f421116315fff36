"""Point invertible blocks and rescale layers: inverses, logarithms of scales, gradients, what a move changes."""

from __future__ import annotations

import pytest
import torch
from random_weights import randomized

from pcsr_zoo.layers.invertible_scale import InvertibleScale
from pcsr_zoo.layers.pi_block import PIBlock
from pcsr_zoo.layers.rescale_layer import RescaleLayer

KINDS = [(form, vectors) for form in ("additive", "map") for vectors in (False, True)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def halves(channels: int, n: int = 40, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, n, channels, dtype=dtype), torch.randn(2, n, 3 * channels, dtype=dtype)


@pytest.mark.parametrize(("form", "vectors"), KINDS)
@pytest.mark.parametrize("channels", [3, 12])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_a_block_inverts(form, vectors, channels, dtype, tolerance):
    block = randomized(PIBlock(channels, 3 * channels, form=form, vectors=vectors)).to(dtype)
    kept, offsets = halves(channels, dtype=dtype)
    with torch.no_grad():
        there = block(kept, offsets)
        back = block.inverse(there[0], there[1])
    assert float((there[0] - kept).abs().mean()) > 0.1
    assert float((there[1] - offsets).abs().mean()) > 0.1
    torch.testing.assert_close(back[0], kept, rtol=0, atol=tolerance)
    torch.testing.assert_close(back[1], offsets, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("form", "vectors"), KINDS)
def test_a_block_begins_as_the_identity(form, vectors):
    block = PIBlock(12, 36, form=form, vectors=vectors).double()
    kept, offsets = halves(12)
    there = block(kept, offsets)
    torch.testing.assert_close(there[0], kept)
    torch.testing.assert_close(there[1], offsets)
    assert float(there[2].detach().abs().max()) == 0


@pytest.mark.parametrize(("form", "vectors"), KINDS)
def test_the_logarithms_of_the_scales_are_the_volume(form, vectors):
    """Their sum is the logarithm of the determinant of the Jacobian matrix, which torch has by differentiation."""
    block = randomized(PIBlock(6, 18, hidden=8, growth=4, neighbors=3, form=form, vectors=vectors)).double()
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


@pytest.mark.parametrize(("form", "vectors"), KINDS)
def test_gradients_by_finite_differences(form, vectors):
    block = randomized(PIBlock(6, 18, hidden=6, growth=3, neighbors=4, form=form, vectors=vectors)).double()
    kept, offsets = torch.randn(1, 8, 6).double(), torch.randn(1, 8, 18).double()

    def there(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return block(a, b)[:2]

    inputs = kept.requires_grad_(), offsets.requires_grad_()
    assert torch.autograd.gradcheck(there, inputs, fast_mode=True)
    assert torch.autograd.gradcheck(block.inverse, inputs, fast_mode=True)


@pytest.mark.parametrize(("form", "vectors"), KINDS)
def test_a_cloud_that_moves_takes_its_kept_points_along(form, vectors):
    block = randomized(PIBlock(12, 36, form=form, vectors=vectors)).double()
    kept, offsets = halves(12)
    move = torch.tensor([5.0, -3.0, 1.0, *[0.0] * 9]).double()
    here, there = block(kept, offsets), block(kept + move, offsets)
    torch.testing.assert_close(here[0] + move, there[0])
    torch.testing.assert_close(here[1], there[1])


def test_vectors_in_a_plane_stay_in_it():
    block = randomized(PIBlock(12, 36, vectors=True)).double()
    kept, offsets = halves(12)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    for half in (kept, offsets):  # the plane of the first two rows of `turn`
        vectors = half.view(2, 40, -1, 3)
        vectors -= (vectors @ turn[2])[..., None] * turn[2]
    there = block(kept, offsets)
    for half in there[:2]:
        assert float((half.detach().view(2, 40, -1, 3) @ turn[2]).abs().max()) < 1e-12
    assert float((there[0] - kept).detach().abs().mean()) > 0.1
    assert float((there[1] - offsets).detach().abs().mean()) > 0.1


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
