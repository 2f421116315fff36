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
