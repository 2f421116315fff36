"""PU-GAN's discriminator and its losses, and attention among copies at a lower cost."""

from __future__ import annotations

import pytest
import torch

from pcsr_zoo.layers.discriminator import Discriminator
from pcsr_zoo.layers.patch_expansion import Fusion
from pcsr_zoo.layers.self_attention import SelfAttention
from pcsr_zoo.losses.adversarial import discriminator_loss, generator_loss


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_the_confidence_does_not_depend_on_the_order():
    judge = Discriminator(8).double()
    torch.nn.init.ones_(judge.attention.share)
    points = torch.randn(3, 40, 3).double()
    torch.testing.assert_close(judge(points[:, torch.randperm(40)]), judge(points))
    assert judge(points).shape == (3,)


def test_it_learns_to_tell_point_sets_apart():
    judge = Discriminator(8)
    optimizer = torch.optim.Adam(judge.parameters(), lr=5e-3)
    for _ in range(40):
        true, made = torch.randn(4, 32, 3), torch.randn(4, 32, 3) * torch.tensor([1.0, 1.0, 0.1])
        loss = discriminator_loss(judge(made), judge(true))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05  # 0.25 without knowing anything


def test_least_squares_by_hand():
    made, true = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 3.0])
    assert float(generator_loss(made)) == pytest.approx((0.25 + 4.0) / 4)
    assert float(discriminator_loss(made, true)) == pytest.approx((0.25 + 1.0) / 4 + (0.0 + 4.0) / 4)


def test_attention_among_copies_is_that_among_all():
    attention = SelfAttention(8).double()
    torch.nn.init.constant_(attention.share, 0.7)
    features, codes = 3 * torch.randn(2, 9, 6).double(), torch.randn(4, 2).double()
    copies = torch.cat([features[:, :, None].expand(-1, -1, 4, -1), codes.expand(2, 9, -1, -1)], dim=3)
    expected = attention(copies.flatten(1, 2)).view(2, 9, 4, 8)
    torch.testing.assert_close(attention.of_copies(features, codes), expected)


def test_fusion_of_equal_copies():
    fusion = Fusion(6, 4, hidden=10).double()
    torch.nn.init.constant_(fusion.attention.share, 0.7)
    features = torch.randn(2, 9, 6).double()
    torch.testing.assert_close(fusion.repeated(features), fusion(features[:, :, None].expand(-1, -1, 4, -1)))
