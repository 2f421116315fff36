"""PU-GAN's self-attention (Li et al., ICCV 2019, sec. 3.2): a single head with a residual connection."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Attention among the K elements of each set: features (..., K, C) -> (..., K, C).

    The result is x + s A H(x) with A = softmax(G(x) F(x)^T) and a learned s, initially 0. On features (B, N, C) of a
    whole patch it is PU-GAN's, quadratic in N; on (B, N, K, C) it costs N K^2.

    Args:
        channels: C.
        inner: channels of F and G; by default C / 4.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = max(1, channels // 4) if inner is None else inner
        self.key, self.query = nn.Linear(channels, inner), nn.Linear(channels, inner)
        self.value = nn.Linear(channels, channels)
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., K, C) with the attention added."""
        attention = torch.softmax(self.query(features) @ self.key(features).mT, dim=-1)
        return features + self.share * (attention @ self.value(features))

    def of_copies(self, features: Tensor, codes: Tensor) -> Tensor:
        """Features (B, N, r, C) of r copies [x_i; c_k] of each point, with attention among all N r of them.

        It is `forward` of (B, N r, C) at 1 / r of the cost. The logarithm of the attention between [x_i; c_k] and
        [x_j; c_l] is a sum of a term with x_j and one with c_l, so A is a product of attention among N points and
        attention among r codes.

        Args:
            features: x (B, N, C - D).
            codes: c (r, D).
        """
        batch, size, split = features.shape
        key, value = self.key.weight, self.value.weight
        query = (features @ self.query.weight[:, :split].mT)[:, :, None] + codes @ self.query.weight[:, split:].mT
        query = query + self.query.bias
        among = torch.softmax(query.flatten(1, 2) @ (features @ key[:, :split].mT).mT, dim=-1)
        heard = (among @ (features @ value[:, :split].mT)).view(batch, size, len(codes), -1)
        heard = heard + torch.softmax(query @ (codes @ key[:, split:].mT).mT, dim=-1) @ (codes @ value[:, split:].mT)
        copies = (batch, size, len(codes), -1)
        together = torch.cat([features[:, :, None].expand(copies), codes.expand(batch, size, -1, -1)], dim=3)
        return together + self.share * (heard + self.value.bias)
