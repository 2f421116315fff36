"""Rendering: against a brute-force z-buffer, closed forms, and symmetries that a right picture must have."""

from __future__ import annotations

import numpy as np
import pytest
from cli_run import run
from PIL import Image
from scipy.spatial.distance import cdist

from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.io import write
from pcsr_zoo.pictures import render, save_image
from pcsr_zoo.pictures.camera import UPS, guess_up, look_at, up_matrix
from pcsr_zoo.pictures.coloring import MISSING, coloring, distance_to, ramp, swatches
from pcsr_zoo.pictures.splat import hidden, point_normals, splat

SMALL = (96, 80)


def sphere(n: int = 600, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def pixels(image: Image.Image, size: tuple[int, int] = SMALL) -> np.ndarray:
    """Of the panels, without the captions below."""
    return np.asarray(image, dtype=float)[: size[1]]


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB in [0, 1], from its definition."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


# -- the camera


def test_projection_is_the_pinhole_formula():
    points = sphere(50)
    camera = look_at([points], (90, 0), "z", (200, 100), margin=10)
    # from +y: right is -x, up is z, and what is nearer looks bigger by distance / depth
    landed, depth = camera.project(points)
    expected_depth = camera.distance - (points - camera.center)[:, 1]
    ratio = camera.scale * camera.distance / expected_depth
    offset = points - camera.center
    expected = np.stack([-offset[:, 0] * ratio, -offset[:, 2] * ratio], axis=1) + camera.origin
    np.testing.assert_allclose(depth, expected_depth)
    np.testing.assert_allclose(landed, expected)


@pytest.mark.parametrize("view", [(0, 0), (-55, 20), (200, -40), (10, 90)])
def test_everything_is_in_the_frame_and_fills_it(view):
    clouds = [sphere(300), sphere(200, 1) * [3, 0.1, 1] + [5, 0, 0]]
    camera = look_at(clouds, view, "z", (300, 200), margin=20)
    landed = np.concatenate([camera.project(cloud)[0] for cloud in clouds])
    assert landed.min(axis=0) == pytest.approx((300, 200) - landed.max(axis=0))  # centered
    assert (landed >= 20 - 1e-6).all()
    assert landed.min() == pytest.approx(20)  # as large as the margin allows


@pytest.mark.parametrize("up", UPS[1:])
def test_up_matrix_is_a_rotation_that_lifts_its_axis(up):
    matrix = up_matrix(up)
    axis = np.eye(3)["xyz".index(up[-1])] * (-1 if up.startswith("-") else 1)
    np.testing.assert_allclose(matrix @ axis, [0, 0, 1])
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_up_is_guessed_from_what_the_object_stands_on():
    rng = np.random.default_rng(0)
    top = np.c_[rng.uniform(-1, 1, (500, 2)), np.ones(500)]
    legs = [np.c_[np.full(60, x), np.full(60, y), np.linspace(0, 1, 60)] for x in (-0.9, 0.9) for y in (-0.9, 0.9)]
    table = np.concatenate([top, *legs])
    assert guess_up(table) == "z"
    assert guess_up(table[:, [0, 2, 1]] * [1, 1, -1]) == "y"
    assert guess_up(rng.uniform(0, 1, (500, 3)) * [100, 80, 5]) == "z"


# -- points to pixels


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.5, 4.2])
def test_splat_is_the_brute_force_z_buffer(radius):
    rng = np.random.default_rng(3)
    width, height, unit = 40, 30, 0.02
    cells = rng.choice(width * height, 150, replace=False)  # one point a pixel
    places = np.stack([cells % width, cells // width], axis=1) + rng.uniform(0.05, 0.95, (150, 2))
    depth = rng.uniform(1, 2, 150)
    result = splat(places, depth, (width, height), radius, unit)
    for y in range(height):
        for x in range(width):
            squared = (places[:, 0] - x - 0.5) ** 2 + (places[:, 1] - y - 0.5) ** 2
            inside = np.floor(places) == (x, y)
            ball = np.maximum(radius**2 - squared, np.where(inside.all(axis=1), 0, -np.inf))
            reach = np.where(ball >= 0, depth - np.sqrt(np.maximum(ball, 0)) * unit, np.inf)
            assert result.depth[y, x] == pytest.approx(reach.min(), rel=1e-5)
            assert result.owner[y, x] == (reach.argmin() if np.isfinite(reach.min()) else -1)


def test_the_nearest_of_points_in_one_pixel_wins_whatever_the_order():
    places = np.full((3, 2), 5.5)
    for order in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, 1.0, 3.0]):
        assert splat(places, np.array(order), (11, 11), 2.0, 0.0).owner[5, 5] == int(np.argmin(order))


def test_points_outside_the_picture_are_left_out():
    result = splat(np.array([[-3.0, 2.0], [50.0, 2.0], [2.0, -9.0]]), np.ones(3), (10, 10), 1.0, 0.1)
    assert (result.owner == -1).all()


@pytest.mark.parametrize("wanted", [30, 5000])
def test_normals_of_a_sphere(wanted):
    points = sphere(5000) + np.array([1e5, 0, 0])
    index = np.arange(wanted)
    normals = point_normals(points, index)
    cosine = np.abs(np.einsum("nd,nd->n", normals, sphere(5000)[index]))
    assert np.quantile(cosine, 0.02) > 0.99


def test_hidden_is_what_lies_behind_the_middle_of_a_plane():
    grid = np.stack(np.meshgrid(np.arange(0, 200, 8.0), np.arange(0, 200, 8.0)), axis=-1).reshape(-1, 2)
    inner = (np.abs(grid - 96) < 60).all(axis=1)
    places = np.concatenate([grid[inner], grid + 3])  # a small plane before a large one
    depth = np.r_[np.full(inner.sum(), 1.0), np.full(len(grid), 200.0)]
    behind = hidden(places, depth, gap=8, unit=1.0)
    assert (behind[: inner.sum()] == 0).all()
    outside = (np.abs(grid + 3 - 96) > 60 + 12).any(axis=1)
    middle = (np.abs(grid + 3 - 96) < 60 - 12).all(axis=1)
    assert (behind[inner.sum() :][middle] == 1).all()
    assert (behind[inner.sum() :][outside] == 0).all()


def test_the_near_point_covers_the_far_one():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    places = np.concatenate([corners, [[0.9, 0, 0]], [[-0.9, 0, 0]]])
    colors = np.zeros((10, 3), dtype=np.uint8)
    colors[8], colors[9] = (255, 0, 0), (0, 0, 255)
    for order in (np.arange(10), np.arange(10)[::-1]):
        cloud = Cloud(places, {"colors": colors})[order]
        picture = pixels(render([cloud], color_by="colors", views=[(0, 0)], size=SMALL, up="z", point_size=8))
        red, _, blue = picture[SMALL[1] // 2, SMALL[0] // 2]
        assert red > 150 > 50 > blue


# -- colors


def test_the_color_map_is_even_in_lightness():
    steps = np.diff(lightness(ramp(np.linspace(0, 1, 33))))
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.5 * steps.mean()
    assert lightness(ramp(np.array([1.0])))[0] - lightness(ramp(np.array([0.0])))[0] > 70


def test_the_color_map_clips_and_shows_what_is_missing():
    rgb = ramp(np.array([-1, 0, 1, 7, np.nan]))
    np.testing.assert_array_equal(rgb[0], rgb[1])
    np.testing.assert_array_equal(rgb[2], rgb[3])
    np.testing.assert_array_equal(rgb[4], MISSING)


def test_an_attribute_shares_one_scale_over_all_clouds():
    a = Cloud(sphere(10), {"height": np.linspace(0, 1, 10)})
    b = Cloud(sphere(10), {"height": np.linspace(1, 2, 10)})
    found = coloring([a, b], "height")
    assert found.span == (0.0, 2.0)
    np.testing.assert_allclose(found.rgb[0], ramp(np.linspace(0, 0.5, 10)))
    np.testing.assert_allclose(found.rgb[1], ramp(np.linspace(0.5, 1, 10)))


def test_far_outliers_do_not_flatten_the_scale():
    values = np.r_[np.linspace(0, 1, 999), 1000.0]
    found = coloring([Cloud(np.zeros((1000, 3)), {"v": values})], "v")
    assert found.span is not None
    assert found.span[1] < 1.1
    assert found.clipped == (False, True)


def test_few_classes_get_a_color_each():
    labels = np.array([2, 5, 2, 9], dtype=np.uint8)
    found = coloring([Cloud(np.zeros((4, 3)), {"labels": labels})], "labels")
    assert found.classes == (2.0, 5.0, 9.0)
    np.testing.assert_array_equal(found.rgb[0], swatches(3)[[0, 1, 0, 2]])


def test_colors_come_from_the_cloud_and_gray_where_it_has_none():
    colors = np.array([[0, 127, 255], [255, 0, 0]], dtype=np.uint8)
    found = coloring([Cloud(np.eye(3)[:2], {"colors": colors}), Cloud(np.eye(3))], "colors")
    np.testing.assert_allclose(found.rgb[0], colors / 255)
    np.testing.assert_allclose(found.rgb[1], np.tile(MISSING, (3, 1)))


def test_coordinates_and_normals_can_be_colored():
    cloud = Cloud(np.array([[0, 0, 1.0], [0, 0, 3.0]]), {"normals": np.array([[0, 0, 1.0], [-1, 0, 0]])})
    assert coloring([cloud], "z").span == (1.0, 3.0)
    np.testing.assert_allclose(coloring([cloud], "normals").rgb[0], [[0.5, 0.5, 1], [0, 0.5, 0.5]])


def test_distance_to_a_cloud_and_to_a_mesh():
    a, b = sphere(80), sphere(50, 1) * 1.3
    offset = np.array([5e5, 4e6, 0])
    np.testing.assert_allclose(distance_to(a + offset, Cloud(b + offset)), cdist(a, b).min(axis=1), rtol=0, atol=1e-8)
    square = np.array([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], dtype=float)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    np.testing.assert_allclose(distance_to(a, (square, triangles)), np.abs(a[:, 2]), atol=1e-5)


@pytest.mark.parametrize("name", ["heigth", "features"])
def test_what_cannot_be_colored_by_is_an_error(name):
    cloud = Cloud(sphere(5), {"height": np.arange(5.0), "features": np.zeros((5, 2))})
    with pytest.raises(OptionError, match=name):
        coloring([cloud], name)


def test_an_unknown_attribute_lists_what_there_is():
    with pytest.raises(OptionError, match="height"):
        coloring([Cloud(sphere(5), {"height": np.arange(5.0)})], "heigth")


def test_distance_needs_a_reference():
    with pytest.raises(OptionError, match="--reference"):
        render([sphere(5)], color_by="distance", size=SMALL)


def test_colors_that_are_not_finite_are_missing():
    found = coloring([Cloud(np.eye(3)[:2], {"colors": np.array([[0.5, 0, 1], [np.nan] * 3])})], "colors")
    np.testing.assert_allclose(found.rgb[0], [[0.5, 0, 1], MISSING])


def test_by_default_a_cloud_has_its_own_colors():
    red = Cloud(sphere(), {"colors": np.tile(np.array([200, 30, 0], np.uint8), (600, 1))})
    np.testing.assert_allclose(coloring([red], None).rgb[0], np.tile([200 / 255, 30 / 255, 0], (600, 1)))
    drawn = pixels(render([red], size=SMALL, point_size=8))[SMALL[1] // 2, SMALL[0] // 2]
    assert drawn[0] > drawn[2] + 50
    both = coloring([Cloud(sphere()), red], None)
    np.testing.assert_array_equal(both.rgb[0], np.tile(MISSING, (600, 1)))
    np.testing.assert_array_equal(both.rgb[1], coloring([red], None).rgb[0])


@pytest.mark.parametrize("attributes", [{}, {"colors": np.zeros((600, 3), np.uint16)}])  # a LAS file may have room only
def test_by_default_a_cloud_without_colors_is_shaded(attributes):
    cloud = Cloud(sphere(), attributes)
    np.testing.assert_array_equal(pixels(render([cloud], size=SMALL)), pixels(render([sphere()], size=SMALL)))
    np.testing.assert_array_equal(coloring([cloud], None).rgb[0], coloring([cloud], "shaded").rgb[0])


def test_the_command_draws_a_colored_cloud_in_its_colors(tmp_path):
    """Blue is what a cloud without colors looks like: its blue is above its red everywhere."""
    colored = {"colors": np.tile(np.array([200, 30, 0], np.uint8), (600, 1))}
    for name, attributes in (("red", colored), ("plain", {})):
        write(Cloud(sphere(), attributes), tmp_path / f"{name}.ply")
        run("render", tmp_path / f"{name}.ply", "-o", tmp_path / f"{name}.png", "--size", "96x80")
        image = np.asarray(Image.open(tmp_path / f"{name}.png"), dtype=float)[:80]
        drawn = image[image.min(axis=2) < 150]
        assert len(drawn) > 100
        assert ((drawn[:, 0] > drawn[:, 2]) == (name == "red")).all()


# -- whole pictures


def test_panels_stand_side_by_side_and_views_below_each_other():
    one = render([sphere()], size=SMALL)
    many = render([sphere(), sphere(50)], size=SMALL, views=[(0, 0), (90, 10), (0, 90)])
    assert one.width == SMALL[0]
    assert many.width == 2 * SMALL[0]
    assert many.height - one.height == 2 * SMALL[1]


def test_clouds_and_references_are_read_from_files(tmp_path):
    write(Cloud(sphere()), tmp_path / "a.ply")
    write(Cloud(sphere(50)), tmp_path / "b.ply")
    options = {"color_by": "distance", "size": SMALL}
    given = render([tmp_path / "a.ply"], reference=str(tmp_path / "b.ply"), **options)
    np.testing.assert_array_equal(pixels(given), pixels(render([sphere()], reference=sphere(50), **options)))


def test_the_same_cloud_twice_gives_the_same_panel_twice():
    picture = pixels(render([sphere(), sphere()], size=SMALL))
    np.testing.assert_array_equal(picture[:, : SMALL[0]], picture[:, SMALL[0] :])


def test_a_sphere_covers_a_disc_and_leaves_the_corners_as_paper():
    picture = pixels(render([sphere(20_000)], size=SMALL, background="#112233"))
    y, x = np.mgrid[: SMALL[1], : SMALL[0]] + 0.5
    drawn = (np.abs(picture - [0x11, 0x22, 0x33]) > 8).any(axis=-1)
    radius = np.hypot(x - SMALL[0] / 2, y - SMALL[1] / 2)
    half = (SMALL[1] - 2 * 0.06 * SMALL[1]) / 2
    assert drawn[radius < half - 2].all()
    assert not drawn[radius > half + 3].any()


def test_light_falls_from_above():
    picture = pixels(render([sphere(20_000)], size=SMALL, views=[(0, 0)], up="z"))
    column = picture[:, SMALL[0] // 2].sum(axis=-1)
    assert column[16:30].mean() > 1.2 * column[-30:-16].mean()


@pytest.mark.parametrize("up", UPS[1:])
def test_up_turns_the_picture_not_the_object(up):
    cloud = np.concatenate([sphere(3000) * [1, 1, 0.4], sphere(500) * 0.3 + [0.2, 0.1, 1]])
    upright = pixels(render([cloud], size=SMALL, up="z"))
    turned = pixels(render([cloud @ up_matrix(up)], size=SMALL, up=up))  # rows times R = R^-1 of each
    assert np.abs(upright - turned).mean() < 0.5


def test_utm_coordinates_make_the_same_picture():
    near = pixels(render([sphere(3000)], size=SMALL, up="z"))
    far = pixels(render([sphere(3000) + np.array([5e5, 4e6, 100])], size=SMALL, up="z"))
    assert np.abs(near - far).mean() < 1.5


@pytest.mark.parametrize(
    "points",
    [np.zeros((1, 3)), np.full((7, 3), 4e6), np.eye(3)[:2], np.linspace(0, 1, 30)[:, None] * [1, 1, 1]],
)
def test_degenerate_clouds_are_drawn(points):
    picture = pixels(render([points], size=SMALL))
    assert (picture < 250).any()


def test_titles_and_a_legend_are_drawn_below():
    cloud = Cloud(sphere(50), {"v": np.arange(50.0)})
    plain = render([cloud], size=SMALL, titles=[""])
    titled = render([cloud], size=SMALL, titles=["a title\nand a second line"])
    barred = render([cloud], size=SMALL, color_by="v")
    assert plain.height < titled.height
    assert titled.height < barred.height + 20
    below = np.asarray(barred)[SMALL[1] :].reshape(-1, 3).astype(int)
    assert (below.max(axis=1) - below.min(axis=1) > 60).any()  # the colors of the bar
    assert (np.asarray(plain)[SMALL[1] :] == 255).all()


@pytest.mark.parametrize(
    ("clouds", "options", "error"),
    [
        ([], {}, OptionError),
        ([np.zeros((0, 3))], {}, CloudError),
        ([[[0, 0, np.nan]]], {}, CloudError),
        ([np.eye(3)], {"background": "nocolr"}, OptionError),
        ([np.eye(3)], {"size": (4, 4)}, OptionError),
        ([np.eye(3)], {"size": (9000, 9000)}, OptionError),
        ([np.eye(3)], {"point_size": 0}, OptionError),
        ([np.eye(3)], {"point_size": float("nan")}, OptionError),
        ([np.eye(3)], {"views": [(np.inf, 0)]}, OptionError),
        ([np.eye(3)], {"titles": ["a", "b"]}, OptionError),
        ([np.eye(3)], {"up": "w"}, OptionError),
    ],
)
def test_bad_input_is_a_clear_error(clouds, options, error):
    with pytest.raises(error):
        render(clouds, **options)


def test_a_picture_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    image = render([sphere(20)], size=SMALL)
    save_image(image, tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(image))
    with pytest.raises(FileError, match=r"\.xyz"):
        save_image(image, tmp_path / "b.xyz")
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FileError, match="No space"):
        save_image(image, tmp_path / "c.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
