"""The distance of points to the surface that a sparse cloud samples, by the cloud's estimated normals."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry.frames import local_frames
from ..layers.graph import neighbor_graph
from ..layers.picking import gather, nearest

_AROUND = 3  # nearest points whose normals are interpolated


def cloud_normals(points: Tensor, neighbors: int = 10) -> Tensor:
    """Unit normals (B, N, 3) of clouds (B, N, 3), by principal component analysis. Their signs are arbitrary."""
    graph = neighbor_graph(points.double(), neighbors)
    assert graph.edges is not None
    assert graph.weight is not None
    axes = local_frames(graph.edges[..., :3].flatten(0, 1), graph.weight.flatten(0, 1))[1]
    return axes[:, :, 0].view(points.shape).to(points)


def surface_loss(points: Tensor, cloud: Tensor, normals: Tensor, unit: Tensor | float = 1.0) -> Tensor:
    """The mean of `heights` over all points, divided by `unit`.

    Args:
        points, cloud, normals: see `heights`.
        unit: a length, or one for each example (B,). Heights are divided by it.
    """
    unit = torch.as_tensor(unit, dtype=points.dtype, device=points.device)
    return (heights(points, cloud, normals) / (unit[:, None] if unit.ndim else unit)).mean()


def heights(points: Tensor, cloud: Tensor, normals: Tensor) -> Tensor:
    """|<p - q, n>| (B, N) of points p (B, N, 3), with q the nearest point of a cloud (B, M, 3).

    n is the mean of the cloud's normal (B, M, 3) at q and of the normal at p, which is interpolated from the 3 nearest
    points. A chord of a circle is perpendicular to the sum of the normals at its ends, so points on a surface of
    constant curvature have height 0 at any distance from q. Heights over the tangent plane at q would not.
    """
    index = nearest(cloud, points, _AROUND)
    with torch.no_grad():
        away = gather(cloud, index) - points[:, :, None]
        theirs = gather(normals, index)
        at_q = theirs[:, :, 0]
        theirs = theirs * torch.where((theirs * at_q[:, :, None]).sum(dim=3, keepdim=True) < 0, -1.0, 1.0)
        weight = 1 / (away.square().sum(dim=3, keepdim=True).sqrt() + 1e-9)
        at_p = torch.nn.functional.normalize((weight * theirs).sum(dim=2), dim=2)
        normal = torch.nn.functional.normalize(at_q + at_p, dim=2)
    height = ((points - gather(cloud, index[:, :, 0])) * normal).sum(dim=2)
    return (height * height + 1e-16).sqrt()
