"""The network of `jetnet`: it encodes the neighborhood of each point, and moves query positions onto the surface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...geometry.compiled import kernels_for
from ...geometry.jets import monomials
from ...geometry.parallel import each
from ...geometry.patches import Patches

KERNELS = f"{__package__}.kernels"
_CLAMP = 1.0  # largest move onto a quadric, in patch radii: quadrics do not extrapolate
_HEARD = 16  # neighbors that send messages to a patch
_OWN = 18  # input channels of a patch: two quadrics, two misfits, a normal, the noise
_SEEN = 10  # input channels of each neighbor, see `_first`
_TOLD = 13  # input channels of each message, see `_hear`
_CHUNK = 1 << 9  # patches at a time (of 24 neighbors each), few enough for the processor's caches
# Fields of `Patches` that the decoder gets, with their numbers of channels.
_SHAPE = {
    **{"frame": 9, "radius": 1, "bent": 1},
    **{"near": 6, "near_origin": 3, "near_axes": 9},
    **{"wide": 6, "wide_origin": 3, "wide_axes": 9},
}


class JetNetwork(nn.Module):
    """An encoder of patches (`encode`) and a decoder that moves query positions onto the surface (`decode`).

    A patch is the neighborhood of a point. All inputs are in the patches' frames and in units of their radii, so the
    moves are equivariant to rotation and scale.

    Args:
        width: channels of the features of a patch.
        hidden: channels of each neighbor inside the encoder.
        decoder: channels of the decoder.
        messages: rounds of message passing between neighboring patches.
        flat: in patch radii. The learned residual fades where the neighbors' heights are small against it, so that
            exact planes stay planes, and dense smooth clouds follow their quadrics.
    """

    def __init__(
        self, width: int = 96, hidden: int = 48, decoder: int = 64, messages: int = 2, flat: float = 0.01
    ) -> None:
        super().__init__()
        self.flat = flat
        self.local = _Pool(_SEEN, hidden, width, _OWN)
        self.messages = nn.ModuleList(_Pool(_TOLD, hidden, width, width, width) for _ in range(messages))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(messages))
        self.to_decoder = nn.Linear(width, decoder)
        self.place = nn.Linear(10, decoder)
        self.decoder = nn.Sequential(nn.SiLU(), nn.Linear(decoder, decoder), nn.SiLU(), nn.Linear(decoder, 6))
        for parameter in self.decoder[-1].parameters():
            nn.init.zeros_(parameter)  # the initial output is an average of the quadrics
        self.sharpness = nn.Parameter(torch.tensor(3.0))

    def forward(self, patches: Patches, noise: Tensor, offsets: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """`encode`, then `decode`."""
        return self.decode(self.encode(patches, noise), offsets, index)

    def encode(self, patches: Patches, noise: Tensor) -> Tensor:
        """A table (N, C) of the N patches for `decode`: learned features, then the frames and quadrics of the patches.

        Args:
            patches: of one cloud, or of several clouds with consecutive indices.
            noise: (N,), in point spacings, as given to `fit_patches`.
        """
        parts = [slice(begin, begin + _CHUNK) for begin in range(0, len(patches), _CHUNK)]
        features = torch.cat(_each_part(lambda part: self._first(patches, noise, part), parts, noise.device))
        for pool, norm in zip(self.messages, self.norms, strict=True):
            told = pool.other(norm(features))  # type: ignore[operator]
            hear = partial(self._hear, pool, patches, features, told)
            features = features + torch.cat(_each_part(hear, parts, noise.device))
        bent = patches.relief / (patches.relief + self.flat)
        shapes = [bent if name == "bent" else getattr(patches, name) for name in _SHAPE]
        return torch.cat([self.to_decoder(features) + self.place.bias, *(shape.flatten(1) for shape in shapes)], dim=1)

    def decode(self, table: Tensor, offsets: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Moves (M, 3) of M query positions onto the surface, and the logarithms (M,) of their expected errors.

        Args:
            table: the result of `encode`.
            offsets: (M, m, 3) from each of the m nearest points of a position to it, in units of the cloud.
            index: (M, m), the indices of these points.

        Returns:
            The moves in units of the cloud, and the log errors in units of the point spacing.
        """
        width = self.to_decoder.out_features
        known = table[index.flatten()]
        # From here on, coordinates are the first dimension and positions the last: sums over long rows are faster.
        rows = dict(zip(_SHAPE, known[:, width:].T.contiguous().split([_SHAPE[name] for name in _SHAPE]), strict=True))
        frame, radius, bent = rows["frame"].view(3, 3, -1), rows["radius"], rows["bent"]
        local = (frame * (offsets.flatten(0, 1).T / radius)[:, None]).sum(dim=0)
        near = _onto(local, rows["near"], rows["near_origin"], rows["near_axes"].view(3, 3, -1))
        wide = _onto(local, rows["wide"], rows["wide_origin"], rows["wide_axes"].view(3, 3, -1))
        square = (local * local).sum(dim=0, keepdim=True)
        away = (square.sqrt() * radius).view(index.shape)
        share = (away / (away.mean(dim=1, keepdim=True) + 1e-12)).view(1, -1)
        place = torch.cat([local, near.sum(dim=0, keepdim=True), near[:1], wide, square, share])
        out = self.judge(known[:, :width], place.T).T

        votes = out[:2] - self.sharpness * square - out.new_tensor([[0.0], [1.0]])
        votes = votes.view(2, *index.shape).transpose(0, 1).flatten(1).softmax(dim=1)
        for_near, for_wide = votes.view(len(index), 2, -1).unbind(dim=1)
        both = (for_near + for_wide).reshape(1, -1)
        move = for_near.reshape(1, -1) * near + for_wide.reshape(1, -1) * wide + both * bent * out[2:5]
        move = (frame * move).sum(dim=1) * radius
        return move.view(3, *index.shape).sum(dim=2).T, (both * out[5:6]).view(index.shape).sum(dim=1)

    def judge(self, known: Tensor, place: Tensor) -> Tensor:
        """What the decoder says (n, 6) of features (n, decoder) and places (n, 10): votes, a residual, an error."""
        return self.decoder(torch.addmm(known, place, self.place.weight.T))

    def judge_compiled(self, fast: Any, known: Tensor, place: Tensor) -> Tensor:
        """The same by compiled code, except for the matrices; `known` is overwritten."""
        out = known.addmm_(place, self.place.weight.T)
        fast.silu(out.numpy())
        out = self.decoder[1](out)
        fast.silu(out.numpy())
        return self.decoder[3](out)

    def _first(self, patches: Patches, noise: Tensor, part: slice) -> Tensor:
        offsets, residuals = patches.offsets[part], patches.residuals[part]
        lengths = offsets.norm(dim=2, keepdim=True)
        own = torch.cat(
            [
                patches.near[part].clamp(-2, 2),
                patches.wide[part].clamp(-2, 2),
                patches.misfit[part] * 4,
                patches.wide_axes[part, :, 0],
                noise[part, None] * 4,
            ],
            dim=1,
        )
        first, last = lengths[:, 1:2].expand_as(lengths), lengths[:, -1:].expand_as(lengths)
        seen = torch.cat([offsets, residuals, lengths, (residuals * 4).clamp(-2, 2), first, last], dim=2)
        if (fast := _compiled(patches)) is not None:
            return self.local.compiled(fast, seen, own, seen.new_empty(0, 0), patches.index[part])
        return self.local(seen, own)

    def _hear(self, pool: nn.Module, patches: Patches, features: Tensor, told: Tensor, part: slice) -> Tensor:
        offsets, near = patches.offsets[part, :_HEARD], patches.index[part, :_HEARD]
        if (fast := _compiled(patches)) is not None:
            seen = torch.empty(*offsets.shape[:2], _TOLD)
            fields = (
                patches.offsets[part],
                patches.residuals[part],
                patches.frame,
                patches.radius,
                patches.index[part],
            )
            fast.told(*(field.numpy() for field in fields), part.start, seen.numpy())
            return pool.compiled(fast, seen, features[part], told, patches.index[part])  # type: ignore[operator]
        turn = patches.frame[part].mT[:, None] @ patches.frame[near]  # the neighbors' axes in the patch's frame
        scale = (patches.radius[near] / patches.radius[part][:, None]).clamp(0.1, 10).log()
        lengths = offsets.norm(dim=2, keepdim=True)
        seen = torch.cat([offsets, patches.residuals[part, :_HEARD], lengths, turn[..., :2].flatten(2), scale], dim=2)
        return pool(seen, features[part], told[near])


def _each_part(work: Callable[[slice], Tensor], parts: list[slice], device: torch.device) -> list[Tensor]:
    """The results of `work` on all parts; on all cores of the CPU, unless gradients are needed."""
    if torch.is_grad_enabled():
        return [work(part) for part in parts]

    def one(number: int) -> Tensor:
        with torch.no_grad():  # each thread has its own mode
            return work(parts[number])

    return list(each(one, range(len(parts)), device.type))


def _compiled(patches: Patches) -> Any:
    """The module of compiled functions for these patches, or None: in training, on a GPU, for small clouds."""
    if torch.is_grad_enabled() or patches.radius.device.type != "cpu" or patches.radius.dtype != torch.float32:
        return None
    return kernels_for(len(patches), KERNELS)


class _Pool(nn.Module):
    """Attention pooling: an MLP for each member of a set, then sums with learned softmax weights."""

    heads = 4

    def __init__(self, channels: int, hidden: int, width: int, own: int, other: int = 0) -> None:
        super().__init__()
        self.other = nn.Linear(other, hidden, bias=False) if other else None
        self.member = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.own = nn.Linear(own, hidden)
        self.share = nn.Linear(hidden, self.heads)
        self.out = nn.Sequential(nn.Linear((self.heads + 1) * hidden, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, members: Tensor, own: Tensor, told: Tensor | None = None) -> Tensor:
        """Members (n, k, channels), owner (n, own) and messages (n, k, hidden) of `other` -> features (n, width)."""
        mine = self.own(own)
        said = self.member[0](members) + mine[:, None]
        said = self.member[1:](said if told is None else said + told)
        share = self.share(said).softmax(dim=1)
        return self.out(torch.cat([(share.mT @ said).flatten(1), mine], dim=1))

    def compiled(self, fast: Any, members: Tensor, own: Tensor, told: Tensor, index: Tensor) -> Tensor:
        """The same by compiled code, except for the matrices; `told` (N, hidden) is not yet gathered by `index`."""
        mine = self.own(own)
        said = self.member[0](members)
        fast.hear(said.numpy(), mine.numpy(), told.numpy(), index.numpy())
        said = self.member[2](said)
        fast.silu(said.flatten(0, 1).numpy())
        pooled = mine.new_empty(len(mine), (self.heads + 1) * mine.shape[1])
        fast.pool(said.numpy(), self.share(said).numpy(), mine.numpy(), pooled.numpy())
        out = self.out[0](pooled)
        fast.silu(out.numpy())
        return self.out[2](out)


def _onto(local: Tensor, coefficients: Tensor, origin: Tensor, axes: Tensor) -> Tensor:
    """Moves (3, n) of points (3, n) along the axes' normals onto quadrics (6, n), at most one patch radius long."""
    in_axes = ((local - origin)[:, None] * axes).sum(dim=0)
    height = (monomials(in_axes[1], in_axes[2], dim=0) * coefficients).sum(dim=0)
    return (height - in_axes[0]).clamp(-_CLAMP, _CLAMP) * axes[:, 0]
