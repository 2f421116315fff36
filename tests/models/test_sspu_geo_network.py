"""The neighbor expansion unit and self-attention against their formulas, the network's symmetries, its losses."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from model_contract import torus_cloud  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from pcsr_zoo.differentiable_rendering import cameras_around  # noqa: E402
from pcsr_zoo.errors import OptionError  # noqa: E402
from pcsr_zoo.layers.neighbor_expansion import NeighborExpansion, grid_codes  # noqa: E402
from pcsr_zoo.layers.self_attention import SelfAttention  # noqa: E402
from pcsr_zoo.losses.hausdorff import hausdorff_loss  # noqa: E402
from pcsr_zoo.losses.image import image_loss  # noqa: E402
from pcsr_zoo.losses.surface import cloud_normals, heights, surface_loss  # noqa: E402
from pcsr_zoo.models.sspu_geo.network import SSPUGeoNetwork, cubic_below, own_frames  # noqa: E402


@pytest.fixture(scope="module")
def network() -> SSPUGeoNetwork:
    torch.manual_seed(0)
    network = SSPUGeoNetwork(copies=5, width=16, growth=4, blocks=2, hidden=16).eval()
    for last in (network.beside[-1], network.above[-1]):
        torch.nn.init.normal_(last.weight, std=0.1)
    return network


def torus(n: int = 300) -> torch.Tensor:
    return torch.from_numpy(torus_cloud(n))[None]


# -- layers -------------------------------------------------------------------------------------------------------


def test_self_attention_by_its_definition():
    torch.manual_seed(0)
    layer = SelfAttention(8)
    torch.nn.init.constant_(layer.share, 0.7)
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        out = layer(x)
        for b in range(2):
            key, query, value = layer.key(x[b]), layer.query(x[b]), layer.value(x[b])
            for i in range(5):
                score = torch.stack([query[i] @ key[j] for j in range(5)]).exp()
                expected = x[b, i] + 0.7 * sum(score[j] / score.sum() * value[j] for j in range(5))
                torch.testing.assert_close(out[b, i], expected)


def test_the_expansion_is_equation_1():
    """For each point and neighbor by a loop, up to the mixture; then code and edge, and attention among the copies."""
    torch.manual_seed(0)
    unit = NeighborExpansion(6, copies=3, edge=2, hidden=10)
    torch.nn.init.normal_(unit.weights.weight)
    torch.nn.init.constant_(unit.copies.attention.share, 0.5)
    features, edges = torch.randn(1, 7, 6), torch.randn(1, 7, 3, 2)
    neighbors = torch.randint(7, (1, 7, 3))
    with torch.no_grad():
        made = unit(features[:, 2:5], features, neighbors[:, 2:5], edges[:, 2:5])
        matrix = torch.cat([unit.own.weight, unit.other.weight, unit.edge.weight], dim=1)
        for i in range(2, 5):
            rows = []
            for j in range(3):
                x_i, x_j, e = features[0, i], features[0, neighbors[0, i, j]], edges[0, i, j]
                hidden = torch.relu(matrix @ torch.cat([x_i, x_j, e]) + unit.own.bias)
                alpha, beta = torch.sigmoid(unit.weights(hidden))
                torch.testing.assert_close(made.share[0, i - 2, j], beta / (alpha + beta))
                mixed = alpha * x_i + beta * x_j
                rows.append(torch.relu(unit.copies.mix(torch.cat([mixed, grid_codes(3)[j], e]))))
            torch.testing.assert_close(made.features[0, i - 2], unit.copies.attention(torch.stack(rows)))


@pytest.mark.parametrize(("copies", "rows"), [(1, 1), (2, 1), (4, 2), (8, 2), (9, 3)])
def test_every_copy_has_a_code_of_its_own(copies, rows):
    codes = grid_codes(copies)
    assert codes.shape == (copies, 2)
    assert len(torch.unique(codes, dim=0)) == copies
    assert len(torch.unique(codes[:, 0])) == rows
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(2))
    assert codes.abs().max() <= 0.2 + 1e-6


# -- the network --------------------------------------------------------------------------------------------------


def test_the_network_turns_moves_and_grows_with_the_cloud(network):
    points = torus()
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    with torch.no_grad():
        before, after = network(points), network(3 * points @ turn.T + 7)
    torch.testing.assert_close(after.positions, 3 * before.positions @ turn.T + 7, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.normal_offsets, 3 * before.normal_offsets @ turn.T, atol=1e-4, rtol=0)
    assert before.normal_offsets.norm(dim=3).mean() > 1e-3


def test_a_mirrored_cloud_is_mirrored(network):
    points, mirror = torus(), torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            network(points * mirror).positions, network(points).positions * mirror, atol=1e-5, rtol=0
        )


def test_the_order_of_the_points_does_not_matter(network):
    points, order = torus(), torch.randperm(300, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(points[:, order]).positions, network(points).positions[:, order])


def test_a_cloud_is_its_neighborhoods(network):
    """What happens far away changes nothing, so a patch trains what whole clouds go through."""
    points = torus(400)
    near = (points[0] - points[0, 0]).norm(dim=1) < 1.3
    assert near[0]
    assert 100 < near.sum() < 300
    with torch.no_grad():
        whole, part = network(points).positions[0, 0], network(points[:, near]).positions[0]
    torch.testing.assert_close(part[0], whole, atol=1e-5, rtol=0)


def test_parts_of_a_large_cloud_are_joined(network, monkeypatch):
    points = torus()
    with torch.no_grad():
        whole = network(points)
        monkeypatch.setattr("pcsr_zoo.layers.dense_edge_conv._CHUNK", 70)
        parts = network(points)
    torch.testing.assert_close(parts.positions, whole.positions, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_small_clouds_have_fewer_copies(network, count):
    with torch.no_grad():
        made = network(torus(8)[:, :count])
    assert made.positions.shape == (1, count, min(5, count - 1), 3)
    assert torch.isfinite(made.positions).all()


def test_it_begins_on_cubic_curves():
    """Without what is to be learned, places between the points of a circle lie on the circle, up to a high order."""
    shares = torch.linspace(0, 1, 5)
    for width in (0.4, 0.2):
        drop = np.cos(width) - 1  # of the end of an arc below the tangent of its beginning
        below = (cubic_below(shares) * drop).sum(dim=1)
        a, b = np.array([1.0, 0.0]), np.array([np.cos(width), np.sin(width)])
        chord = a + shares[:, None].numpy() * (b - a)
        outward = (a + b) / np.linalg.norm(a + b)
        radius = np.linalg.norm(chord - below[:, None].numpy() * outward, axis=1)
        assert np.abs(radius - 1).max() < 0.02 * width**3
        assert np.abs(np.linalg.norm(chord, axis=1) - 1).max() > 0.1 * width**2


def test_or_on_the_chords():
    torch.manual_seed(0)
    places = []
    for cubic in (False, True):
        torch.manual_seed(0)
        network = SSPUGeoNetwork(copies=4, width=8, growth=4, blocks=1, hidden=8, cubic=cubic)
        for last in (network.beside[-1], network.above[-1]):
            torch.nn.init.zeros_(last.weight)
        with torch.no_grad():
            places.append(network(torus()).positions)
    points = torus()[0]
    ends = points[cKDTree(points.numpy()).query(points.numpy(), 5)[1][:, 1:]]
    along = places[0][0] - points[:, None]
    assert torch.linalg.cross(along, ends - points[:, None]).norm(dim=2).max() < 1e-9

    def off(cloud):
        return (((cloud[..., :2].norm(dim=-1) - 1) ** 2 + cloud[..., 2] ** 2).sqrt() - 0.4).abs().mean()

    assert off(places[1]) < 0.5 * off(places[0])


def test_frames_are_right_and_signs_follow_the_cloud():
    points = torus(500)[0]
    _, index = cKDTree(points.numpy()).query(points.numpy(), 12)
    offsets = points[index] - points[:, None]
    frames = own_frames(offsets, torch.ones(500, 12, dtype=torch.float64))
    torch.testing.assert_close(frames.mT @ frames, torch.eye(3).double().expand(500, 3, 3), atol=1e-9, rtol=0)
    ring = torch.nn.functional.normalize(points * torch.tensor([1.0, 1, 0]), dim=1)
    true = torch.nn.functional.normalize(points - ring, dim=1)
    assert (frames[:, :, 0] * true).sum(dim=1).abs().min() > 0.9
    assert (offsets @ frames[:, :, :1]).mean(dim=1).max() < 1e-9  # the normal points away from the neighbors


@pytest.mark.parametrize("options", [{"copies": 0}, {"neighbors": 3}, {"expansion": "magic"}])
def test_arguments_that_make_no_sense(options):
    with pytest.raises(OptionError):
        SSPUGeoNetwork(**options)


# -- losses -------------------------------------------------------------------------------------------------------


def test_hausdorff_by_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 3)), rng.normal(size=(2, 40, 3))
    expected = []
    for one, other, unit in zip(a, b, (1.0, 2.0), strict=True):
        squared = ((one[:, None] - other[None]) ** 2).sum(axis=2)
        expected.append((squared.min(axis=1).max() + squared.min(axis=0).max()) / unit**2)
    a, b = torch.from_numpy(a).requires_grad_(True), torch.from_numpy(b)
    found = hausdorff_loss(a, b, torch.tensor([1.0, 2.0]))
    assert found.item() == pytest.approx(np.mean(expected))
    assert torch.autograd.gradcheck(lambda x: hausdorff_loss(x, b), (a,))


def test_heights_over_a_sphere():
    """On the sphere none, however far from the samples; above it, the height."""
    points = torch.nn.functional.normalize(torch.from_numpy(np.random.default_rng(0).normal(size=(1, 500, 3))), dim=2)
    cloud = cameras_around(400).center[None] / 3
    on = heights(points, cloud, cloud)
    plane = (points - cloud[:, cKDTree(cloud[0].numpy()).query(points[0].numpy())[1]]).norm(dim=2).square().mean() / 2
    assert on.mean() < 0.25 * plane  # the tangent plane of the nearest point is that far off
    above = heights(1.1 * points, cloud, cloud)
    assert (above - 0.1).abs().max() < 0.02
    signs = torch.from_numpy(np.random.default_rng(1).choice([-1.0, 1.0], (1, 400, 1)))
    torch.testing.assert_close(heights(1.1 * points, cloud, signs * cloud), above)
    torch.testing.assert_close(surface_loss(1.1 * points, cloud, cloud, torch.tensor([0.5])), above.mean() / 0.5)


def test_normals_of_a_sphere():
    cloud = cameras_around(400).center[None] / 3
    assert (cloud_normals(cloud) * cloud).sum(dim=2).abs().min() > 0.99


def test_the_image_loss_is_lowest_for_the_same_cloud_and_pulls_towards_it():
    cloud = (0.8 * cameras_around(150).center[None] / 3).float()
    cameras = cameras_around(3)
    assert float(image_loss(cloud, cloud, cameras, 0.1)) == 0
    away = (1.1 * cloud).requires_grad_(True)
    loss = image_loss(away, cloud, cameras, 0.1)
    loss.backward()
    assert loss.item() > 0.01
    nearer = (away - 0.02 * away.grad / away.grad.norm(dim=2, keepdim=True).amax()).detach()
    assert float(image_loss(nearer, cloud, cameras, 0.1)) < loss.item()
