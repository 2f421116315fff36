"""Text files: layouts, delimiters, headers; against NumPy and Open3D."""

from __future__ import annotations

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import FileError
from pcsr_zoo.io import read, write

S = 2**-0.5


def read_as(tmp_path, text: str, name: str = "a.txt") -> Cloud:
    (tmp_path / name).write_bytes(text.encode())
    return read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2 3\n4 5 6\n", {}),
        ("1 2 3 0.5\n4 5 6 7\n", {"intensity": [0.5, 7]}),
        (f"1 2 3 0 0 1\n4 5 6 {S} 0 {-S}\n", {"normals": [[0, 0, 1], [S, 0, -S]]}),
        ("1 2 3 0 128 255\n4 5 6 1 2 3\n", {"colors": [[0, 128, 255], [1, 2, 3]]}),
        ("1 2 3 0 0.5 1\n4 5 6 0.1 0.2 0.3\n", {"colors": [[0, 0.5, 1], [0.1, 0.2, 0.3]]}),
        ("1 2 3 0.5 -7 300\n4 5 6 9 9 9\n", {"features": [[0.5, -7, 300], [9, 9, 9]]}),
        ("1 2 3 -9 0 128 255\n4 5 6 7 1 2 3\n", {"intensity": [-9, 7], "colors": [[0, 128, 255], [1, 2, 3]]}),
        ("1 2 3 0 0 1 4\n4 5 6 0 1 0 5\n", {"normals": [[0, 0, 1], [0, 1, 0]], "labels": [4, 5]}),
        ("1 2 3 8 9\n4 5 6 7 6\n", {"features": [[8, 9], [7, 6]]}),
        ("1 2 3 a\n".replace(" a", " 1" * 9), {"features": [[1] * 9]}),
        ("x y z\n1 2 3\n", {}),
        ("X,Y,Z,R,G,B,i\n1,2,3,10,20,30,0.5\n", {"colors": [[10, 20, 30]], "intensity": [0.5]}),
        ("y,x,class,z\n2,1,5,3\n", {"labels": [5]}),
        ('"x";"y";"z";"nx";"ny";"nz";"depth"\n1;2;3;0;0;1;7\n',
         {"normals": [[0, 0, 1]], "depth": [7]}),
        ("//X Y Z Rf Gf Bf scalar_Intensity\n1 2 3 0.5 0 1 9\n", {"colors": [[0.5, 0, 1]], "intensity": [9]}),
        ("# made by hand\n# x y z label\n1 2 3 4\n", {"labels": [4]}),
        ("x [m], y [m], z [m], GPS time\n1, 2, 3, 4\n", {"GPS_time": [4]}),
        ("2\n1 2 3\n4 5 6\n", {}),
        ("1;2;3\n", {}),
        ("1,5;2,5;3\n", {}),
        ("\ufeff1 2 3\n", {}),
        ("1\t2   3\r\n\r\n4 5 6\r\n", {}),
        ("// c\n1 2 3\n# d\n4 5 6", {}),
    ],
)  # fmt: skip
def test_layouts(tmp_path, text: str, expected: dict) -> None:
    cloud = read_as(tmp_path, text)
    np.testing.assert_array_equal(cloud.positions[0], [1.5, 2.5, 3] if "1,5;" in text else [1, 2, 3])
    if len(cloud) == 2:
        np.testing.assert_array_equal(cloud.positions[1], [4, 5, 6])
    assert set(cloud.attributes) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(cloud.attributes[name], values)


def test_colors_and_labels_get_integer_types(tmp_path) -> None:
    attributes = read_as(tmp_path, "x y z r g b label\n1 2 3 4 5 6 7\n").attributes
    assert attributes["colors"].dtype == np.uint8
    assert attributes["labels"].dtype == np.int32


def test_a_few_rows_without_normal_do_not_matter(tmp_path) -> None:
    rows = [[0, 0, 0, 0, 0, 1]] * 40 + [[0, 0, 0, 0, 0, 0]]
    np.savetxt(tmp_path / "a.xyz", rows)
    assert list(read(tmp_path / "a.xyz").attributes) == ["normals"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n4 5\n7 8 9\n", "line 2: 2 columns.* 3"),
        ("# c\n\n1 2 3\n4 five 6\n", "line 4: 'five' is not a number"),
        ("1 2 abc\n4 5 6\n", "line 1: 'abc'"),
        ("1,2,3\n4,,6\n", "line 2: '' is not a number"),
        ("1 2\n3 4\n", "2 columns.* x, y and z"),
        ("x y z i\n1 2 3\n", "4 columns.* 3"),
        ("a b c\n1 2 3\n", "x, y, z .*: a, b, c"),
        ("5\n1 2 3\n", r"\b1 points.* 5\b"),
        ("hello\n", "line 1: expected .* x, y and z, found 'hello'"),
        ("\x00\x01\x02\n1 2 3\n", "a.txt"),
    ],
)
def test_bad_files(tmp_path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read_as(tmp_path, text)
    assert "a.txt" in str(caught.value)


@pytest.mark.parametrize("text", ["# only a comment\n", "x,y,z\n", "0\n", "\n\n"])
def test_no_points(tmp_path, text: str) -> None:
    assert len(read_as(tmp_path, text)) == 0


def test_open3d_and_numpy_read_what_we_write(tmp_path) -> None:
    o3d, cloud = import_open3d(), utm_cloud()
    readers = {".xyz": "xyz", ".xyzn": "xyzn", ".xyzrgb": "xyzrgb", ".pts": "pts"}
    for suffix, kind in readers.items():
        write(cloud, tmp_path / f"a{suffix}")
        back = o3d.io.read_point_cloud(str(tmp_path / f"a{suffix}"), format=kind)
        np.testing.assert_array_equal(np.asarray(back.points), cloud.positions)
        if back.has_normals():
            np.testing.assert_allclose(np.asarray(back.normals), cloud.attributes["normals"], atol=1e-7)
        if back.has_colors():
            np.testing.assert_allclose(np.asarray(back.colors), cloud.attributes["colors"] / 255, atol=1e-6)
        assert back.has_normals() == (suffix == ".xyzn")
        assert back.has_colors() == (suffix in (".xyzrgb", ".pts"))
    write(Cloud(cloud.positions), tmp_path / "a.txt")
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "a.txt"), cloud.positions)
    write(cloud, tmp_path / "a.csv")
    table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
    assert table.dtype.names is not None
    np.testing.assert_array_equal(np.stack([table["x"], table["y"], table["z"]], axis=1), cloud.positions)
    np.testing.assert_array_equal(table["red"], cloud.attributes["colors"][:, 0])
    np.testing.assert_array_equal(table["gps_time"], cloud.attributes["gps_time"])


def test_reads_what_open3d_writes(tmp_path) -> None:
    o3d, cloud = import_open3d(), utm_cloud()
    for suffix in (".xyz", ".xyzn", ".xyzrgb", ".pts"):
        assert o3d.io.write_point_cloud(str(tmp_path / f"a{suffix}"), cloud.to_open3d())
        back = read(tmp_path / f"a{suffix}")
        np.testing.assert_allclose(back.positions, cloud.positions, atol=1e-9)
        if suffix == ".xyzn":
            np.testing.assert_allclose(back.attributes["normals"], cloud.attributes["normals"], atol=1e-9)
        if suffix in (".xyzrgb", ".pts"):
            np.testing.assert_allclose(back.colors_as_float(), cloud.colors_as_float(), atol=1e-9)


@pytest.mark.parametrize("attribute", ["normals", "colors", "intensity", "labels"])
def test_txt_names_its_columns(tmp_path, attribute: str) -> None:
    cloud = utm_cloud()
    write(Cloud(cloud.positions, {attribute: cloud.attributes[attribute]}), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text().startswith("# x y z ")
    np.testing.assert_array_equal(
        read(tmp_path / "a.txt").attributes[attribute].astype(cloud.attributes[attribute].dtype),
        cloud.attributes[attribute],
    )


def test_missing_columns_are_named(tmp_path) -> None:
    bare = Cloud(np.eye(3))
    with pytest.raises(FileError, match="no normals"):
        write(bare, tmp_path / "a.xyzn")
    with pytest.raises(FileError, match="no colors"):
        write(bare, tmp_path / "a.xyzrgb")


def test_extreme_numbers_survive(tmp_path) -> None:
    values = np.array([[1 / 3, 1e300, -1e-300], [np.pi * 1e6, 5e-324, 0.1 + 0.2], [-0.0, 2.0**53, 1e22]])
    for name in ("a.xyz", "a.csv"):
        write(Cloud(values), tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / name).positions, values)


def test_more_rows_than_one_chunk(tmp_path) -> None:
    values = np.arange(300_003, dtype=np.float64).reshape(-1, 3)
    write(Cloud(values), tmp_path / "a.xyz")
    np.testing.assert_array_equal(read(tmp_path / "a.xyz").positions, values)
