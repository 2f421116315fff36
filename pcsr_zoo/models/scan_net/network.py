"""The network of `scan-net`: which surface a ray between two rings hits, how precisely, and whether it returns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 10  # of the image, see `features.image_features`
QUERY = 21  # values of a ray, see `features.ray_features`
HYPOTHESES = 9
LEAST_SCALE, MOST_SCALE = 3e-4, 0.3  # of log range
MOST_SHIFT = 0.05

Mixture = tuple[Tensor, Tensor, Tensor, Tensor]


class ScanNetwork(nn.Module):
    """A U-Net over rings and azimuths, and a small decoder for each ray.

    Args:
        width: channels at full resolution; deeper levels have more.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        a, b, c = width, width * 5 // 3, width * 7 // 3
        self.width = width
        self.first = _Block(CHANNELS, a, a)
        self.second = _Block(a, b, b)
        self.third = _Block(b, c, b)
        self.second_up = _Block(2 * b, b, a)
        self.first_up = _Block(2 * a, width, width)
        self.hidden = nn.Linear(2 * width + QUERY, 2 * width)
        self.more = nn.Linear(2 * width, 2 * width)
        self.out = nn.Linear(2 * width, 3 * HYPOTHESES + 1)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.zero_()
            self.out.bias[HYPOTHESES : 2 * HYPOTHESES] = -4.0  # scales of about 2 % at first

    def forward(self, image: Tensor, ray: Tensor, possible: Tensor, turn: bool) -> Mixture:
        """`decode` for one ray at each column of each gap between rings.

        Args:
            image: (B, `CHANNELS`, R, W), see `features.image_features`.
            ray: (B, R - 1, W, `QUERY`), see `features.ray_features`.
            possible: (B, R - 1, W, K).
            turn: whether the columns close a full turn.
        """
        features = self.encode(image, turn).permute(0, 2, 3, 1)
        return self.decode(features[:, :-1], features[:, 1:], ray, possible)

    def encode(self, image: Tensor, turn: bool) -> Tensor:
        """Features (B, F, R, W) of an image (B, `CHANNELS`, R, W); `turn` if its columns are a full turn."""
        width = image.shape[3]
        padded = F.pad(image, (0, -width % 4, 0, 0), mode="circular" if turn else "constant")
        first = self.first(padded, turn)
        second = self.second(F.avg_pool2d(first, (1, 2)), turn)
        third = self.third(F.avg_pool2d(second, (1, 2)), turn)
        up = self.second_up(torch.cat([_wider(third), second], dim=1), turn)
        found: Tensor = self.first_up(torch.cat([_wider(up), first], dim=1), turn)
        return found[:, :, :, :width]

    def decode(self, below: Tensor, above: Tensor, ray: Tensor, possible: Tensor) -> Mixture:
        """A mixture of Laplace distributions of log range around the hypotheses of rays.

        Args:
            below, above: (..., F), the features of the pixels below and above.
            ray: (..., `QUERY`).
            possible: (..., K), the hypotheses that count; a ray without any gets arbitrary weights.

        Returns:
            log weights, shifts of log range and log scales, each (..., K), and the logit (...) that the ray returns.
        """
        hidden = F.silu(self.hidden(torch.cat([below, above, ray], dim=-1)))
        hidden = hidden + F.silu(self.more(hidden))
        out = self.out(hidden)
        k = HYPOTHESES
        weights = out[..., :k].masked_fill(~possible, -30.0).log_softmax(dim=-1)
        low, high = torch.tensor([LEAST_SCALE, MOST_SCALE], device=out.device).log()
        scales = low + (high - low) * torch.sigmoid(out[..., k : 2 * k] + 2)
        shifts = MOST_SHIFT * torch.tanh(out[..., 2 * k : 3 * k])
        return weights, shifts, scales, out[..., 3 * k]


class _Rows(nn.Conv2d):
    """A 3 x 3 convolution whose columns may close a turn."""

    def turned(self, x: Tensor, turn: bool) -> Tensor:
        x = F.pad(x, (1, 1, 0, 0), mode="circular" if turn else "constant")
        return F.conv2d(x, self.weight, self.bias, padding=(1, 0))


class _Block(nn.Module):
    def __init__(self, inside: int, hidden: int, out: int) -> None:
        super().__init__()
        self.one, self.two = _Rows(inside, hidden, 3), _Rows(hidden, out, 3)

    def forward(self, x: Tensor, turn: bool) -> Tensor:
        return F.silu(self.two.turned(F.silu(self.one.turned(x, turn)), turn))


def _wider(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=3)
