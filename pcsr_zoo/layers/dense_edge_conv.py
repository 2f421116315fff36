"""Dense EdgeConv: the feature extraction of MPU (Wang et al., CVPR 2019, sec. 3.2), also used by PU-GAN, SSPU-Net and
PointLIE.

A block has n densely connected layers of `growth` channels over the edges (x_i, x_j - x_i) of a neighbor graph, and
max-pools over the neighbors. Blocks are densely connected, too, with a compression to `width` channels. The linear
terms in x_i and x_j are computed once for each point instead of each edge: the same sums, k times cheaper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .graph import NeighborGraph
from .picking import gather, nearest

_CHUNK = 1 << 14  # points at a time without gradients: a cloud of a million points has 13 million edges


class DenseEdgeConv(nn.Module):
    """Features (B, N, C) -> (B, N, layers * growth + C): the pooled messages, then the input.

    Args:
        channels: C.
        growth: channels of a layer.
        layers: n.
        relative: the edges also get the offset between their points, and its length.
    """

    def __init__(self, channels: int, growth: int = 12, layers: int = 3, relative: bool = False) -> None:
        super().__init__()
        self.growth = growth
        self.own = nn.Linear(channels, layers * growth)
        self.other = nn.Linear(channels, growth, bias=False)
        self.offset = nn.Linear(4, growth, bias=False) if relative else None
        self.dense = nn.ModuleList(nn.Linear(k * growth, growth, bias=False) for k in range(1, layers))

    @property
    def out_channels(self) -> int:
        return self.own.in_features + self.own.out_features

    def forward(self, features: Tensor, graph: NeighborGraph) -> Tensor:
        """Features (B, N, C) of points and their graph -> (B, N, `out_channels`)."""
        own, other = self.own(features), self.other(features)
        heard = in_parts(graph, lambda a, b: self._heard(own[:, a:b], other, graph.part(a, b)))
        return torch.cat([heard, features], dim=2)

    def _heard(self, own: Tensor, other: Tensor, graph: NeighborGraph) -> Tensor:
        mine = own[:, None].split(self.growth, dim=3)
        around = graph.by_neighbor
        first = gather(other, around.index) + mine[0]
        if self.offset is not None:
            first = first + self.offset(around.edges)
        messages = [torch.relu(first)]
        for k, (layer, bias) in enumerate(zip(self.dense, mine[1:], strict=True)):
            layer_weight: Any = layer.weight
            # the layer over all messages so far, part by part: joining the parts takes longer than the products
            parts = zip(messages, layer_weight.split(self.growth, dim=1), strict=True)
            said = sum((nn.functional.linear(part, weight) for part, weight in parts), start=bias)
            messages.append(said if k == len(self.dense) - 1 else torch.relu(said))
        return torch.cat([greatest(part, graph) for part in messages], dim=2)


class DenseFeatures(nn.Module):
    """Features of every point of a cloud, by `blocks` times a compression and a dense EdgeConv.

    Args:
        channels: channels of the input; 0 is allowed with `relative`.
        width: channels of a block's input; 24 in MPU, 48 in PU-GAN.
        growth, layers: see `DenseEdgeConv`.
        blocks: number of blocks; 4 in the papers.
        neighbors: k of the graphs that the module makes in the feature space of each block's input, as in the papers.
        relative: use positions only by the offsets of the graph's edges, so that the features are invariant to
            translation. The input must then contain no positions, and the graph must be given. Otherwise positions are
            part of the input.
        start: channels of the first block's input; by default `width`. 24 in PU-GAN.

    Shapes: (B, N, channels) -> (B, N, out_channels); 84, 144, 204, 264 channels for 1 to 4 blocks of the default, 120,
    240, 360, 480 for those of PU-GAN.
    """

    def __init__(
        self,
        channels: int,
        width: int = 24,
        growth: int = 12,
        layers: int = 3,
        blocks: int = 4,
        neighbors: int = 16,
        relative: bool = False,
        start: int | None = None,
    ) -> None:
        super().__init__()
        self.neighbors = neighbors
        start = width if start is None else start
        self.first = nn.Linear(channels, start) if channels else None
        self.offset = nn.Linear(4, start) if relative else None
        inputs = [start, *[width] * (blocks - 1)]
        self.blocks = nn.ModuleList(DenseEdgeConv(one, growth, layers, relative) for one in inputs)
        out: Any = start
        compress = []
        for block in self.blocks:
            compress.append(nn.Linear(out, width))
            out += block.out_channels
        self.compress = nn.ModuleList(compress[1:])
        self.out_channels: int = out

    def forward(self, features: Tensor, graph: NeighborGraph | None = None) -> Tensor:
        """Features of points.

        Args:
            features: (B, N, channels).
            graph: the graph of all blocks; without one, each block searches its own neighbors.
        """
        out = x = self._first(features, graph)
        for k, block in enumerate(self.blocks):
            if k:
                x = torch.relu(self.compress[k - 1](out))
            over = graph or NeighborGraph(nearest(x, x, self.neighbors + 1)[:, :, 1:])
            out = torch.cat([block(x, over), out], dim=2)
        return out

    def _first(self, features: Tensor, graph: NeighborGraph | None) -> Tensor:
        x: Tensor | None = self.first(features) if self.first is not None else None
        if self.offset is None:
            assert x is not None
            return x
        assert graph is not None
        around = surroundings(self.offset, graph)
        return around if x is None else x + around


def in_parts(graph: NeighborGraph, work: Callable[[int, int], Tensor]) -> Tensor:
    """Concatenated results work(begin, end), (B, end - begin, ...), of chunks of points; one chunk with gradients."""
    if torch.is_grad_enabled() or graph.size <= _CHUNK:
        return work(0, graph.size)
    begins = range(0, graph.size, _CHUNK)
    return torch.cat([work(begin, min(begin + _CHUNK, graph.size)) for begin in begins], dim=1)


def surroundings(layer: nn.Linear, graph: NeighborGraph) -> Tensor:
    """Max-pooling (B, N, C) of the weighted messages ReLU(layer(edge)) over the edges of a graph."""
    kernel = torch.cat([layer.weight, layer.bias[:, None]], dim=1)

    def heard(begin: int, end: int) -> Tensor:
        # weights are not negative, and ReLU is monotonic: both may change places with others
        said = nn.functional.linear(graph.part(begin, end).weighted_edges, kernel)
        return torch.relu(_Greatest.apply(said))

    return in_parts(graph, heard)


def greatest(messages: Tensor, graph: NeighborGraph) -> Tensor:
    """Max-pooling (B, N, C) of weighted messages (B, k, N, C) over the neighbors."""
    weight = graph.by_neighbor.weight
    found: Tensor = _Greatest.apply(messages if weight is None else messages * weight[..., None])
    return found


class _Greatest(torch.autograd.Function):
    """The maximum over dimension 1. On a CPU it is ten times faster than `max`, which also finds where it is.

    Equal maxima get the same gradient each. Most of them are zeros after a ReLU, which pass no gradient on.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        best = x.amax(dim=1)
        ctx.save_for_backward(x, best)
        return best

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, best = ctx.saved_tensors
        return (x - best[:, None]).sign_().add_(1).mul_(gradient[:, None])
