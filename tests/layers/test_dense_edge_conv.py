"""Dense EdgeConv against the papers' form of it, edge by edge; and what relative features do not depend on."""

from __future__ import annotations

import pytest
import torch

from pcsr_zoo.layers import dense_edge_conv
from pcsr_zoo.layers.dense_edge_conv import DenseEdgeConv, DenseFeatures, greatest, surroundings
from pcsr_zoo.layers.graph import NeighborGraph, neighbor_graph


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def edge_by_edge(block: DenseEdgeConv, x: torch.Tensor, graph: NeighborGraph) -> torch.Tensor:
    """MPU's block: each layer is a matrix times all that an edge knows, with x_j - x_i in place of x_j."""
    growth, channels = block.growth, x.shape[2]
    out = torch.empty(*x.shape[:2], block.out_channels, dtype=x.dtype)
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            said = []
            for k, j in enumerate(graph.index[b, i].tolist()):
                mine = block.own.weight.split(growth), block.own.bias.split(growth)
                # A x_i + B x_j = (A + B) x_i + B (x_j - x_i)
                matrix = torch.cat([mine[0][0] + block.other.weight, block.other.weight], dim=1)
                edge = torch.cat([x[b, i], x[b, j] - x[b, i]])
                h = matrix @ edge + mine[1][0]
                if block.offset is not None:
                    h = h + block.offset.weight @ graph.edges[b, i, k]
                known = torch.relu(h)
                for n, layer in enumerate(block.dense):
                    h = layer.weight @ known + mine[0][n + 1] @ x[b, i] + mine[1][n + 1]
                    known = torch.cat([known, h if n == len(block.dense) - 1 else torch.relu(h)])
                said.append(known * (1 if graph.weight is None else graph.weight[b, i, k]))
            out[b, i] = torch.cat([torch.stack(said).amax(dim=0), x[b, i]])
    assert out.shape[2] == channels + len(mine[0]) * growth
    return out


@pytest.mark.parametrize("relative", [False, True])
def test_it_is_the_papers_block(relative):
    block = DenseEdgeConv(5, growth=4, layers=3, relative=relative).double()
    points, x = torch.randn(2, 9, 3).double(), torch.randn(2, 9, 5).double()
    graph = neighbor_graph(points, 4)
    if not relative:
        graph = NeighborGraph(graph.index[:, :, 1:])
    with torch.no_grad():
        torch.testing.assert_close(block(x, graph), edge_by_edge(block, x, graph))


@pytest.mark.parametrize(("blocks", "channels"), [(1, 84), (2, 144), (3, 204), (4, 264)])
def test_channels_of_the_papers(blocks, channels):
    features = DenseFeatures(3, blocks=blocks, neighbors=8)
    assert features.out_channels == channels
    assert features(torch.randn(2, 30, 3)).shape == (2, 30, channels)
    assert DenseFeatures(3, growth=24, width=48, blocks=4).out_channels - 48 == 480  # PU-GAN's


def test_relative_features_do_not_change_when_the_cloud_moves():
    features = DenseFeatures(0, blocks=2, relative=True).double()
    points = torch.randn(1, 40, 3).double()
    nothing = points[:, :, 3:]
    here = features(nothing, neighbor_graph(points, 8))
    there = features(nothing, neighbor_graph(points + 5, 8))
    torch.testing.assert_close(here, there)
    assert float(here.detach().std(dim=1).mean()) > 0.01


def test_order_does_not_matter():
    features = DenseFeatures(3, blocks=2, neighbors=6)
    points, order = torch.randn(1, 30, 3), torch.randperm(30)
    torch.testing.assert_close(features(points)[:, order], features(points[:, order]))


def test_parts_give_what_the_whole_gives(monkeypatch):
    features = DenseFeatures(4, blocks=2, relative=True)
    points, x = torch.randn(2, 50, 3), torch.randn(2, 50, 4)
    graph = neighbor_graph(points, 8)
    whole = features(x, graph)
    monkeypatch.setattr(dense_edge_conv, "_CHUNK", 16)
    with torch.no_grad():
        torch.testing.assert_close(features(x, graph), whole.detach())


def test_surroundings_by_the_definition():
    layer = torch.nn.Linear(4, 6).double()
    graph = neighbor_graph(torch.randn(1, 30, 3).double(), 5)
    assert graph.edges is not None
    assert graph.weight is not None
    said = surroundings(layer, graph)
    for i in range(30):
        messages = [graph.weight[0, i, k] * torch.relu(layer(graph.edges[0, i, k])) for k in range(6)]
        torch.testing.assert_close(said[0, i], torch.stack(messages).amax(dim=0))


def test_gradients_of_the_pooling():
    points = torch.randn(1, 12, 3).double().requires_grad_()
    layer = torch.nn.Linear(4, 3).double()
    assert torch.autograd.gradcheck(lambda x: surroundings(layer, neighbor_graph(x, 4)), points)
    messages = torch.randn(1, 5, 12, 3).double().requires_grad_()
    graph = neighbor_graph(points.detach(), 4)
    assert torch.autograd.gradcheck(lambda x: greatest(x, graph), messages)
