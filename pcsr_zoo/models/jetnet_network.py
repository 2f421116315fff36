"""The network of `jetnet`: every point's patch becomes features, and any place near the cloud is moved by them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..geometry.jets import monomials
from ..geometry.patches import Patches

_CLAMP = 1.0  # in patch radii: quadrics far from home say anything
_GLOBALS = 18


class JetNetwork(nn.Module):
    """Patches -> features (`encode`), queries -> moves (`forward`).

    Args:
        width: channels of the features of a patch.
        hidden: channels inside the encoder, for each neighbour.
        decoder: channels of the decoder.
        messages: rounds in which patches hear of their neighbours' features.
        flat: where the neighbours' heights are small against this (in patch radii), the learned residual fades: exact
            planes stay exact planes, and dense smooth clouds are left to their quadrics.
    """

    def __init__(
        self, width: int = 96, hidden: int = 64, decoder: int = 96, messages: int = 2, flat: float = 0.01
    ) -> None:
        super().__init__()
        self.flat = flat
        self.local = _Pool(10, hidden, width, _GLOBALS)
        self.messages = nn.ModuleList(_Pool(13, hidden, width, width, width) for _ in range(messages))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(messages))
        self.to_decoder = nn.Linear(width, decoder)
        self.place = nn.Linear(10, decoder)
        self.decoder = nn.Sequential(nn.SiLU(), nn.Linear(decoder, decoder), nn.SiLU(), nn.Linear(decoder, 6))
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        last = self.decoder[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def encode(self, patches: Patches, noise: Tensor, chunk: int = 1 << 15) -> Tensor:
        """Features (N, decoder) of N patches of one cloud (or of several, whose `index` counts on).

        Args:
            noise: (N,), as `fit_patches` had it.
        """
        n = len(patches)
        parts = [slice(i, i + chunk) for i in range(0, n, chunk)]
        coordinates = torch.cat([patches.offsets, patches.residuals, patches.offsets.norm(dim=2, keepdim=True)], dim=2)
        features = torch.cat([self._first(patches, coordinates[p], noise[p], p) for p in parts])
        for pool, norm in zip(self.messages, self.norms, strict=True):
            features = features + torch.cat(
                [self._hear(pool, norm, patches, coordinates[p], features, p) for p in parts]
            )
        return self.to_decoder(features)

    def _first(self, patches: Patches, coordinates: Tensor, noise: Tensor, part: slice) -> Tensor:
        own = torch.cat(
            [
                patches.near[part].clamp(-2, 2),
                patches.wide[part].clamp(-2, 2),
                patches.misfit[part] * 4,
                (patches.wide_axes[part, :, 0] * patches.wide_axes[part, :1, 0].sign()),
                noise[:, None] * 4,
            ],
            dim=1,
        )
        first = patches.offsets[part, 1:2].norm(dim=2, keepdim=True).expand(-1, coordinates.shape[1], -1)
        far = patches.offsets[part, -1:].norm(dim=2, keepdim=True).expand(-1, coordinates.shape[1], -1)
        lone = torch.cat([coordinates, (coordinates[:, :, 3:5] * 4).clamp(-2, 2), first, far], dim=2)
        return self.local(lone, own)

    def _hear(
        self, pool: _Pool, norm: nn.LayerNorm, patches: Patches, coordinates: Tensor, features: Tensor, part: slice
    ) -> Tensor:
        near = patches.index[part, :_HEARD]
        turn = patches.frame[part].mT[:, None] @ patches.frame[near]  # the neighbours' axes in one's own frame
        scale = (patches.radius[near] / patches.radius[part][:, None]).clamp(0.1, 10).log()
        said = torch.cat([coordinates[:, :_HEARD], turn[:, :, :, :2].flatten(2), scale], dim=2)
        return pool(said, features[part], pool.other(norm(features))[near])

    def forward(self, patches: Patches, noise: Tensor, offsets: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """`encode` and `decode` in one."""
        return self.decode(patches, self.encode(patches, noise), offsets, index)

    def decode(self, patches: Patches, features: Tensor, offsets: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Moves (M, 3) of M queries onto the surface, and the logarithm (M,) of the error expected of each.

        Args:
            features: of `encode`.
            offsets: (M, m, 3) from each of a query's nearest points to the query, in units of the cloud.
            index: (M, m), which points they are.

        Returns:
            moves in units of the cloud; errors are in units of the radius of the query's patches.
        """
        frame, radius = patches.frame[index], patches.radius[index]
        local = ((offsets / radius)[:, :, None] @ frame)[:, :, 0]
        near = _onto(local, patches.near[index], patches.near_origin[index], patches.near_axes[index])
        wide = _onto(local, patches.wide[index], patches.wide_origin[index], patches.wide_axes[index])
        square = (local * local).sum(dim=2, keepdim=True)
        rank = square.sqrt() * radius / ((square.sqrt() * radius).mean(dim=1, keepdim=True) + 1e-12)
        place = torch.cat([local, near.sum(dim=2, keepdim=True), near[..., :1], wide, square, rank], dim=2)
        out = self.decoder(features[index] + self.place(place))
        prior = -self.sharpness * square
        logits = torch.cat([out[..., 0:1] + prior, out[..., 1:2] + prior - 1], dim=1)  # (M, 2 m, 1)
        share = logits.softmax(dim=1)
        a, b = share.chunk(2, dim=1)
        height = patches.offsets[:, :, 0].square().mean(dim=1).sqrt()
        gate = (height / (height + self.flat))[index][..., None] if self.flat else 1.0
        move = a * near + b * wide + (a + b) * gate * out[..., 2:5]
        move = ((frame @ move[..., None])[..., 0] * radius).sum(dim=1)
        error = ((a + b) * out[..., 5:6]).sum(dim=1)[:, 0]
        return move, error


_HEARD = 16


class _Pool(nn.Module):
    """Features of a set with what is known of its owner: a network for each member, then sums by learned shares."""

    def __init__(self, channels: int, hidden: int, width: int, own: int, other: int = 0) -> None:
        super().__init__()
        self.other = nn.Linear(other, hidden, bias=False) if other else None
        self.member = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.own = nn.Linear(own, hidden)
        self.share = nn.Linear(hidden, 4)
        self.out = nn.Sequential(nn.Linear(5 * hidden, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, members: Tensor, own: Tensor, heard: Tensor | None = None) -> Tensor:
        """(n, k, channels) and (n, own) -> (n, width); heard: (n, k, hidden) from `other`."""
        said = self.member[0](members) + self.own(own)[:, None]
        if heard is not None:
            said = said + heard
        said = self.member[1:](said)
        share = self.share(said).softmax(dim=1)  # (n, k, 4)
        pooled = (share.mT @ said).flatten(1)
        return self.out(torch.cat([pooled, self.own(own)], dim=1))


def _onto(local: Tensor, coefficients: Tensor, origin: Tensor, axes: Tensor) -> Tensor:
    """Moves (..., 3) of points (..., 3) along the axes' normals onto quadrics, at most a radius long."""
    in_axes = ((local - origin)[..., None, :] @ axes)[..., 0, :]
    height = (monomials(in_axes[..., 1], in_axes[..., 2]) * coefficients).sum(dim=-1)
    return (height - in_axes[..., 0]).clamp(-_CLAMP, _CLAMP)[..., None] * axes[..., 0]
