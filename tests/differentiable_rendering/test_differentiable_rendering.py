"""The rendering unit against its formulas, an exact rasterization, SoftRas over all pixels, and finite differences."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from pcsr_zoo.differentiable_rendering import cameras_around, rasterize, render_clouds, tangent_triangles
from pcsr_zoo.errors import OptionError


def sphere(n: int, seed: int = 0) -> torch.Tensor:
    points = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3)))
    return points / points.norm(dim=1, keepdim=True)


def brute_force(triangles, nearness, colors, size, sigma, gamma):
    """By its definition: every triangle at every pixel, one picture, numpy."""
    centers = (np.arange(size) + 0.5) * 2 / size - 1
    free, total, mixed = np.ones((size, size)), np.zeros((size, size)), np.zeros((size, size, colors.shape[1]))
    for corners, z, color in zip(triangles, nearness, colors, strict=True):
        for row, y in enumerate(centers):
            for column, x in enumerate(centers):
                pixel, sides, nearest = np.array([x, y]), [], np.inf
                for k in range(3):
                    a, edge = corners[k], corners[(k + 1) % 3] - corners[k]
                    share = np.clip((pixel - a) @ edge / (edge @ edge), 0, 1)
                    nearest = min(nearest, np.sum((pixel - a - share * edge) ** 2))
                    sides.append(np.sign(edge[0] * (pixel - a)[1] - edge[1] * (pixel - a)[0]))
                sign = 1 if len(set(sides)) == 1 else -1
                coverage = 1 / (1 + np.exp(-sign * nearest / sigma))
                free[row, column] *= 1 - coverage
                total[row, column] += coverage * np.exp(z / gamma)
                mixed[row, column] += coverage * np.exp(z / gamma) * color
    return 1 - free, (1 - free)[..., None] * mixed / total[..., None]


# -- triangles ----------------------------------------------------------------------------------------------------


def test_the_triangle_is_that_of_the_paper():
    view = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
    view[:, 0] += 4
    size = 0.3
    v1, v2, v3 = ((tangent_triangles(view, size) - view[:, None]) / size).unbind(dim=1)
    s = torch.tensor([1.0, 0, 0], dtype=torch.float64).expand_as(view)
    printed = torch.linalg.cross(view, s)  # eq. 2
    torch.testing.assert_close(v1, printed / printed.norm(dim=1, keepdim=True))
    v = torch.linalg.cross(s, v1)  # eq. 3
    for other in (v2, v3):  # eq. 4
        torch.testing.assert_close(other.norm(dim=1), torch.ones(50, dtype=torch.float64))
        assert (torch.linalg.cross(other, v1) * v).sum(dim=1).abs().max() < 1e-12
        torch.testing.assert_close((v1 * other).sum(dim=1), torch.full((50,), -0.5, dtype=torch.float64))
    torch.testing.assert_close((v * v2).sum(dim=1), torch.full((50,), 0.75**0.5, dtype=torch.float64))
    torch.testing.assert_close((torch.linalg.cross(v2, v) ** 2).sum(dim=1).sqrt(), torch.full_like(v2[:, 0], 0.5))
    torch.testing.assert_close(v1 + v2 + v3, torch.zeros_like(v1))  # 120 degrees each
    assert torch.stack([v1, v2, v3])[..., 0].abs().max() == 0  # in the plane of the picture


def test_a_point_on_the_optical_axis_has_a_triangle_too():
    view = torch.tensor([[3.0, 0.0, 0.0]], requires_grad=True)
    corners = tangent_triangles(view, 0.1, turning=True)
    torch.testing.assert_close((corners - view[:, None]).norm(dim=2), torch.full((1, 3), 0.1))
    corners.sum().backward()
    assert torch.isfinite(view.grad).all()


# -- rasterization ------------------------------------------------------------------------------------------------


def test_coverage_is_the_exact_one_as_sigma_goes_to_zero():
    corners = torch.tensor([[[-0.61, -0.43], [0.52, -0.23], [-0.07, 0.71]]], dtype=torch.float64)
    size = 64
    one = torch.ones(1, dtype=torch.float64)
    silhouette, color = rasterize(corners, one, one[:, None], torch.zeros(1, dtype=torch.int64), 1, size, 1e-12)
    centers = (np.arange(size) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(centers, centers)
    a, b, c = corners[0].numpy()
    shares = np.linalg.solve(np.array([[*a, 1], [*b, 1], [*c, 1]]).T, np.stack([x.ravel(), y.ravel(), np.ones(x.size)]))
    exact = (shares.min(axis=0) > 0).reshape(size, size).astype(float)
    assert 0.1 < exact.mean() < 0.3
    np.testing.assert_allclose(silhouette[0], exact, atol=1e-6)
    np.testing.assert_allclose(color[0, ..., 0], exact, atol=1e-6)


@pytest.mark.parametrize("sigma", [1e-3, 1e-2])
def test_it_is_softras(sigma):
    rng = np.random.default_rng(1)
    triangles = rng.uniform(-0.7, 0.7, (6, 1, 2)) + rng.uniform(-0.5, 0.5, (6, 3, 2))
    nearness, colors = rng.uniform(0.4, 0.6, 6), rng.uniform(size=(6, 2))
    given = [torch.from_numpy(values) for values in (triangles, nearness, colors)]
    silhouette, color = rasterize(*given, torch.zeros(6, dtype=torch.int64), 1, 12, sigma, 0.05, cutoff=1e-15)
    with np.errstate(over="ignore"):
        expected = brute_force(triangles, nearness, colors, 12, sigma, 0.05)
    np.testing.assert_allclose(silhouette[0], expected[0], atol=1e-7)
    np.testing.assert_allclose(color[0], expected[1], atol=1e-6)


def test_a_coarse_cutoff_changes_silhouettes_little():
    points = sphere(200)[None]
    fine, coarse = (render_clouds(points, cameras_around(2), 0.1, 32, cutoff=cutoff) for cutoff in (1e-9, 1e-3))
    assert (fine.silhouette - coarse.silhouette).abs().max() < 0.01


def test_parts_and_pictures_do_not_mix(monkeypatch):
    points = torch.stack([sphere(60), 0.5 * sphere(60, 1)]).requires_grad_(True)
    cameras = cameras_around(3)

    def run():
        pictures = render_clouds(points, cameras, torch.tensor([0.1, 0.2]), 24)
        (gradient,) = torch.autograd.grad(pictures.silhouette.square().sum() + pictures.color.sum(), points)
        return [*pictures, gradient]

    whole = run()
    monkeypatch.setattr(sys.modules["pcsr_zoo.differentiable_rendering.rasterize"], "_PAIRS", 500)
    for a, b in zip(whole, run(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    alone = render_clouds(points[1:], cameras, 0.2, 24)
    torch.testing.assert_close(whole[0][1:], alone.silhouette)
    torch.testing.assert_close(whole[1][1:], alone.color)


def test_gradients_by_finite_differences():
    points = (0.5 * sphere(7)[None]).requires_grad_(True)
    colors = torch.rand(1, 7, 2, dtype=torch.float64, requires_grad=True)
    cameras = cameras_around(2)

    def pictures(points, colors=None):
        return render_clouds(points, cameras, 0.4, 6, colors, 0.02, 0.05, cutoff=1e-12, turning=True)

    assert torch.autograd.gradcheck(pictures, (points,), eps=1e-6, atol=1e-5)
    assert torch.autograd.gradcheck(pictures, (points.detach(), colors), eps=1e-6, atol=1e-5)


# -- pictures -----------------------------------------------------------------------------------------------------


def test_camera_and_cloud_may_turn_together():
    points = sphere(150)[None] * torch.tensor([1.0, 0.7, 0.5])
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3))))[0]
    turn = turn * torch.linalg.det(turn).sign()
    cameras = cameras_around(4)
    before = render_clouds(points, cameras, 0.1, 32)
    after = render_clouds(points @ turn.T, cameras.turned(turn), 0.1, 32)
    torch.testing.assert_close(before.silhouette, after.silhouette, atol=1e-9, rtol=0)
    torch.testing.assert_close(before.color, after.color, atol=1e-9, rtol=0)
    still = render_clouds(points @ turn.T, cameras, 0.1, 32)
    assert (before.silhouette - still.silhouette).abs().max() > 0.5


def test_cameras_look_at_the_center_from_all_around():
    cameras = cameras_around(40, 0.5, 2.0)
    torch.testing.assert_close(cameras.center.norm(dim=1), torch.full((40,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(cameras.axes @ cameras.axes.mT, torch.eye(3).double().expand(40, 3, 3))
    torch.testing.assert_close(torch.linalg.det(cameras.axes), torch.ones(40).double())
    torch.testing.assert_close(cameras.view(torch.zeros(1, 1, 3).double())[0, :, 0, 0], torch.full((40,), 2.0).double())
    assert cameras.center.mean(dim=0).norm() < 0.1
    assert (torch.cdist(cameras.center, cameras.center) + 9 * torch.eye(40)).min() > 0.35


def test_a_ball_is_a_disk_that_fills_the_picture():
    """From anywhere, and out to the corners of the last triangles; the shade of its middle is the brightest."""
    points = cameras_around(3000).center[None] / 3
    pictures = render_clouds(points, cameras_around(5), 0.06, 48, sigma=1e-5)
    area = pictures.silhouette.mean(dim=(2, 3)) * 4
    assert area.min() > torch.pi
    assert area.max() < torch.pi * 1.06**2
    assert (pictures.color[:, :, 20:28, 20:28, 0].mean(dim=(2, 3)) - 1).abs().max() < 0.05


def test_what_is_behind_a_camera_is_not_seen():
    cameras = cameras_around(1)
    points = torch.stack([2 * cameras.center, cameras.center, 0 * cameras.center]).requires_grad_(True)
    pictures = render_clouds(points, cameras, 0.1, 16)
    assert pictures.silhouette[:2].abs().max() == 0
    assert pictures.silhouette[2].max() > 0.01
    pictures.color.sum().backward()
    assert torch.isfinite(points.grad).all()


def test_the_nearer_point_hides_the_other():
    cameras = cameras_around(1)
    forward = cameras.axes[0, 0]
    points = torch.stack([-0.5 * forward, 0.5 * forward])[None]
    colors = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    middle = render_clouds(points, cameras, 0.3, 17, colors).color[0, 0, 8, 8]
    torch.testing.assert_close(middle, torch.tensor([1.0, 0.0], dtype=torch.float64), atol=1e-3, rtol=0)


@pytest.mark.parametrize("options", [{"sigma": 0.0}, {"gamma": 1e-3}, {"size": 0}, {"cutoff": 0.7}])
def test_options_that_make_no_sense(options):
    with pytest.raises(OptionError, match="sigma positive"):
        render_clouds(sphere(5)[None], cameras_around(1), 0.1, **options)


def test_cameras_inside_of_the_ball():
    with pytest.raises(OptionError, match="outside of the ball"):
        cameras_around(4, 2.0, 1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in other units elsewhere")
def test_memory_stays_below_two_gigabytes():
    """8192 points, 8 views of 128 x 128, with gradients."""
    code = (
        "import resource, torch; from pcsr_zoo.differentiable_rendering import cameras_around, render_clouds; "
        "p = torch.nn.functional.normalize(torch.randn(1, 8192, 3), dim=2).requires_grad_(); "
        "x = render_clouds(p, cameras_around(8), 0.03, 128); (x.silhouette.sum() + x.color.sum()).backward(); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 2 * 1024**2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_sees_the_same():
    points = sphere(300)[None].float()
    here, there = (render_clouds(points.to(device), cameras_around(3), 0.1, 32) for device in ("cpu", "cuda"))
    torch.testing.assert_close(there.silhouette.cpu(), here.silhouette, atol=1e-3, rtol=0)
    torch.testing.assert_close(there.color.cpu(), here.color, atol=1e-3, rtol=0)
