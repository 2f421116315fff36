"""`Cloud` and its conversions: nothing is lost, and the kind that was given comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.cloud import Cloud, as_cloud
from pcsr_zoo.errors import CloudError, FileError
from pcsr_zoo.io import open_cloud, write


@pytest.fixture(scope="module")
def o3d():
    return import_open3d()


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(20, 3))
    return Cloud(
        rng.uniform(size=(20, 3)) + np.array([5e5, 4.6e6, 100]),
        {
            "colors": rng.integers(0, 256, (20, 3), dtype=np.uint8),
            "normals": (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
            "intensity": rng.integers(0, 65536, 20, dtype=np.uint16),
            "labels": np.arange(20),
            "flag": np.arange(20) % 3 == 0,
        },
        {"crs": "EPSG:25832"},
    )


def assert_same(a: Cloud, b: Cloud) -> None:
    np.testing.assert_array_equal(a.positions, b.positions)
    assert a.attributes.keys() == b.attributes.keys()
    for name, values in a.attributes.items():
        assert values.dtype == b.attributes[name].dtype
        np.testing.assert_array_equal(values, b.attributes[name])


# -- the container ----------------------------------------------------------------------------------------------


def test_positions_are_contiguous_float64():
    cloud = Cloud(np.arange(24, dtype=np.int16).reshape(8, 3)[::2])
    assert cloud.positions.dtype == np.float64
    assert cloud.positions.flags.c_contiguous
    np.testing.assert_array_equal(cloud.positions, [[0, 1, 2], [6, 7, 8], [12, 13, 14], [18, 19, 20]])


@pytest.mark.parametrize(
    ("positions", "attributes", "message"),
    [
        (np.zeros((4, 2)), None, r"\(N, 3\), got \(4, 2\)"),
        (np.zeros(3), None, r"got \(3,\)"),
        (np.zeros((2, 3, 1)), None, r"got \(2, 3, 1\)"),
        ([[1, 2, "x"]], None, "must be numbers"),
        ([[1, 2, 3], [4, 5]], None, "must be numbers"),
        (np.zeros((4, 3)), {"gain": np.zeros(3)}, r"'gain' .*\(3,\).* 4 points"),
        (np.zeros((4, 3)), {"gain": np.zeros((4, 1, 1))}, "'gain'"),
        (np.zeros((4, 3)), {"gain": 3.0}, "'gain'"),
    ],
)
def test_what_does_not_fit_is_named(positions, attributes, message):
    with pytest.raises(CloudError, match=message):
        Cloud(positions, attributes)


@pytest.mark.parametrize(
    "index",
    [
        slice(3, 12, 2),
        slice(0, 0),
        np.arange(20) % 2 == 0,
        np.zeros(20, bool),
        np.array([5, 5, 0, -1]),
        [7, 2],
        [],
        4,
        -1,
        np.int64(3),
    ],
    ids=str,
)
def test_slicing_takes_positions_and_attributes_together(cloud, index):
    part = cloud[index]
    rows = np.empty(0, int) if isinstance(index, list) and not index else index
    where = np.atleast_1d(np.arange(20)[rows])  # NumPy's own rule
    assert len(part) == len(where)
    np.testing.assert_array_equal(part.positions, cloud.positions[where])
    assert part.attributes.keys() == cloud.attributes.keys()
    for name, values in part.attributes.items():
        np.testing.assert_array_equal(values, cloud.attributes[name][where])
        assert values.dtype == cloud.attributes[name].dtype
    assert part.metadata == cloud.metadata


def test_an_index_out_of_range_is_an_error(cloud):
    with pytest.raises(IndexError):
        cloud[20]
    with pytest.raises(IndexError):
        cloud[np.ones(19, bool)]


def test_concatenate_keeps_what_all_parts_have(cloud):
    other = Cloud(np.zeros((2, 3)), {"labels": np.array([8, 9]), "intensity": np.zeros((2, 2)), "extra": np.zeros(2)})
    joined = Cloud.concatenate(part for part in (cloud, other))
    assert len(joined) == 22
    assert set(joined.attributes) == {"labels"}  # `intensity` differs in shape, the others are in one part only
    np.testing.assert_array_equal(joined.attributes["labels"], [*range(20), 8, 9])
    np.testing.assert_array_equal(joined.positions[:20], cloud.positions)
    assert joined.metadata == cloud.metadata
    assert_same(Cloud.concatenate([cloud[:7], cloud[7:]]), cloud)
    with pytest.raises(CloudError):
        Cloud.concatenate([])


def test_a_copy_shares_nothing(cloud):
    twin = cloud.copy()
    assert_same(twin, cloud)
    twin.positions += 1
    twin.attributes["labels"] += 1
    twin.metadata["crs"] = "other"
    assert cloud.metadata == {"crs": "EPSG:25832"}
    assert (twin.positions != cloud.positions).all()
    assert (twin.attributes["labels"] != cloud.attributes["labels"]).all()


def test_repr_says_size_box_and_attributes():
    cloud = Cloud(np.array([[0, 0, 0], [1, 2.5, -3]]), {"colors": np.zeros((2, 3), np.uint8), "t": np.zeros(2)})
    text = repr(cloud)
    assert "2 points" in text
    assert "(0, 0, -3) to (1, 2.5, 0)" in text
    assert "colors:uint8x3" in text
    assert "t:float64" in text
    assert repr(Cloud(np.empty((0, 3)))) == "Cloud(0 points; attributes: none)"
    assert "1,200,000 points" in repr(Cloud(np.zeros((1_200_000, 3))))


def test_bounds(cloud):
    low, high = cloud.bounds
    assert all(low[c] == min(cloud.positions[:, c]) and high[c] == max(cloud.positions[:, c]) for c in range(3))
    with pytest.raises(CloudError, match="empty"):
        _ = Cloud(np.empty((0, 3))).bounds


# -- validate ---------------------------------------------------------------------------------------------------


def test_validate_returns_a_good_cloud(cloud):
    assert cloud.validate() is cloud


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_validate_names_the_first_bad_row(cloud, value, word):
    cloud.positions[13, 1] = value
    with pytest.raises(CloudError, match=rf"scan\.ply: row 13 .*{word}") as caught:
        cloud.validate("scan.ply")
    assert "more rows" not in str(caught.value)
    cloud.positions[17] = value
    cloud.positions[19] = value
    with pytest.raises(CloudError, match=r"row 13 .*and 2 more rows"):
        cloud.validate()
    assert len(cloud[np.isfinite(cloud.positions).all(axis=1)].validate()) == 17  # the remedy of the message


def test_validate_counts(cloud):
    with pytest.raises(CloudError, match="the cloud is empty; at least 1"):
        cloud[:0].validate()
    with pytest.raises(CloudError, match="a has only 1 point; at least 2"):
        cloud[:1].validate("a", min_points=2)
    with pytest.raises(CloudError, match="only 20 points; at least 21 are"):
        cloud.validate(min_points=21)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_colors_as_float(dtype, top):
    colors = np.array([[0, top, top // 5]], dtype)
    np.testing.assert_allclose(Cloud(np.zeros((1, 3)), {"colors": colors}).colors_as_float(), [[0, 1, 0.2]], atol=1e-12)
    assert Cloud(np.zeros((1, 3))).colors_as_float() is None


# -- other libraries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("columns", [3, 5])
def test_numpy_comes_back_in_its_dtype(dtype, columns):
    array = np.random.default_rng(1).uniform(size=(9, columns)).astype(dtype)
    cloud, back = as_cloud(array)
    np.testing.assert_array_equal(cloud.positions, array[:, :3].astype(np.float64))
    again = back(cloud)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, array)
    assert not np.shares_memory(again, array)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [3, 4])
def test_torch_comes_back_in_its_dtype_and_device(dtype, columns):
    tensor = torch.rand(9, columns, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    cloud, back = as_cloud(tensor)
    again = back(cloud)
    assert again.dtype == dtype
    assert again.device == tensor.device
    assert torch.equal(again, tensor)
    assert not again.requires_grad
    again += 1
    assert not torch.equal(again, tensor)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_tensor_comes_back_on_cuda():
    tensor = torch.rand(9, 3, device="cuda")
    cloud, back = as_cloud(tensor)
    assert back(cloud).device == tensor.device
    assert torch.equal(back(cloud), tensor)


def test_whole_numbers_come_back_as_float64(o3d):
    """New points lie between whole numbers: an integer result would round them away."""
    half = Cloud(np.full((2, 3), 0.5))
    rows = np.arange(6).reshape(2, 3)
    given = {
        "numpy": rows,
        "list": rows.tolist(),
        "torch": torch.from_numpy(rows),
        "open3d": o3d.t.geometry.PointCloud(o3d.core.Tensor(rows.astype(np.int32))),
    }
    for kind, x in given.items():
        cloud, back = as_cloud(x)
        np.testing.assert_array_equal(cloud.positions, rows, err_msg=kind)
        out = back(half)
        values = out.point["positions"].numpy() if kind == "open3d" else np.asarray(out)
        np.testing.assert_array_equal(values, 0.5, err_msg=kind)


def test_to_numpy_and_to_torch_are_copies(cloud):
    array, tensor = cloud.to_numpy(), cloud.to_torch()
    assert array.dtype == np.float64
    assert tensor.dtype == torch.float64
    np.testing.assert_array_equal(array, tensor.numpy())
    array += 1
    tensor += 1
    assert (cloud.positions < array).all()
    assert cloud.to_numpy(np.float32).dtype == np.float32
    assert cloud.to_torch(torch.float32).dtype == torch.float32


def test_open3d_legacy_round_trip(o3d, cloud):
    legacy = cloud.to_open3d()
    assert isinstance(legacy, o3d.geometry.PointCloud)
    np.testing.assert_array_equal(np.asarray(legacy.points), cloud.positions)
    np.testing.assert_array_equal(np.asarray(legacy.normals), cloud.attributes["normals"].astype(np.float64))
    np.testing.assert_allclose(np.asarray(legacy.colors) * 255, cloud.attributes["colors"], atol=1e-9)
    middle, back = as_cloud(legacy)
    assert set(middle.attributes) == {"normals", "colors"}
    again = back(middle[::2])
    assert isinstance(again, o3d.geometry.PointCloud)
    np.testing.assert_array_equal(np.asarray(again.points), cloud.positions[::2])
    np.testing.assert_array_equal(np.asarray(again.colors), np.asarray(legacy.colors)[::2])
    assert set(as_cloud(o3d.geometry.PointCloud(legacy.points))[0].attributes) == set()


def test_open3d_tensor_keeps_every_attribute(o3d, cloud):
    tensor = cloud.to_open3d_tensor()
    assert isinstance(tensor, o3d.t.geometry.PointCloud)
    assert_same(Cloud.from_open3d(tensor), cloud)


def test_open3d_tensor_comes_back_in_its_dtypes(o3d):
    rng = np.random.default_rng(0)
    given = o3d.t.geometry.PointCloud(o3d.core.Tensor(rng.uniform(size=(8, 3)).astype(np.float32)))
    given.point["normals"] = o3d.core.Tensor(rng.uniform(size=(8, 3)).astype(np.float32))
    given.point["labels"] = o3d.core.Tensor(np.arange(8, dtype=np.int32)[:, None])
    cloud, back = as_cloud(given)
    assert cloud.positions.dtype == np.float64
    assert cloud.attributes["labels"].shape == (8,)
    again = back(cloud)
    for name in ("positions", "normals", "labels"):
        assert again.point[name].dtype == given.point[name].dtype
        np.testing.assert_array_equal(again.point[name].numpy(), given.point[name].numpy())


def test_a_half_float_attribute_reaches_open3d(cloud):
    cloud.attributes["gain"] = np.linspace(0, 1, 20).astype(np.float16)
    out = cloud.to_open3d_tensor().point["gain"].numpy()  # Open3D has no 16-bit floats
    np.testing.assert_array_equal(out[:, 0], cloud.attributes["gain"].astype(np.float32))


def test_lists_and_paths(tmp_path, cloud):
    given, back = as_cloud([[1, 2, 3], [4, 5, 6.5]])
    assert isinstance(back(given), np.ndarray)
    np.testing.assert_array_equal(back(given), [[1, 2, 3], [4, 5, 6.5]])
    write(cloud, tmp_path / "a.ply")
    for path in (tmp_path / "a.ply", str(tmp_path / "a.ply")):
        read, back = open_cloud(path)
        assert back(read) is read
        np.testing.assert_array_equal(read.positions, cloud.positions)
    with pytest.raises(FileError, match=r"none\.ply"):
        open_cloud(tmp_path / "none.ply")


@pytest.mark.parametrize("convert", [as_cloud, open_cloud])
def test_a_cloud_is_passed_through(cloud, convert):
    given, back = convert(cloud)
    assert given is cloud
    assert back(cloud) is cloud


def test_an_empty_open3d_cloud_is_an_empty_cloud(o3d):
    for empty in (o3d.geometry.PointCloud(), o3d.t.geometry.PointCloud()):
        assert len(as_cloud(empty)[0]) == 0


@pytest.mark.parametrize(
    "x",
    [
        None,
        3,
        [],
        [[1, 2, 3], [4, 5]],
        [["a", "b", "c"]],
        np.zeros((3, 2)),
        np.zeros((2, 3, 3)),
        np.zeros((3, 3), bool),
        np.zeros((3, 3), complex),
        torch.zeros(3, 2),
        torch.zeros(3, 3, dtype=torch.bool),
        torch.zeros(3, 3, dtype=torch.complex64),
        torch.nn.Identity(),
        {"positions": [[1, 2, 3]]},
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_cloud_is_refused(x):
    with pytest.raises(CloudError):
        as_cloud(x)


def test_a_mesh_of_open3d_is_refused_by_name(o3d):
    for mesh in (o3d.geometry.TriangleMesh.create_box(), o3d.t.geometry.TriangleMesh.create_box()):
        with pytest.raises(CloudError, match="TriangleMesh"):
            as_cloud(mesh)


@pytest.mark.parametrize("name", ["colors", "normals"])
def test_colors_and_normals_have_three_columns(name: str) -> None:
    with pytest.raises(CloudError, match="three columns"):
        Cloud(np.zeros((4, 3)), {name: np.zeros(4)})
