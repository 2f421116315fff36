"""PLY against Open3D's tensor reader and writer, and against bytes packed here by `struct`."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import FileError
from pcsr_zoo.io import read, write
from pcsr_zoo.io.mesh import read_mesh
from pcsr_zoo.io.ply import read_ply

CODES = {
    "char": "b",
    "uchar": "B",
    "short": "h",
    "ushort": "H",
    "int": "i",
    "uint": "I",
    "float": "f",
    "double": "d",
}


def make_ply(encoding: str, types: dict[str, str], rows: list[tuple], head: str = "", tail: bytes = b"") -> bytes:
    """A PLY file packed value by value; `head` goes before the elements."""
    lines = ["ply", f"format {encoding} 1.0", *head.splitlines(), f"element vertex {len(rows)}"]
    lines += [f"property {kind} {name}" for name, kind in types.items()]
    order = ">" if "big" in encoding else "<"
    if encoding == "ascii":
        body = "".join(" ".join(map(repr, row)) + "\n" for row in rows).encode()
    else:
        body = b"".join(struct.pack(order + "".join(CODES[t] for t in types.values()), *row) for row in rows)
    return ("\n".join(lines) + "\nend_header\n").encode() + body + tail


TYPES = {
    **{"x": "double", "y": "double", "z": "float", "red": "uchar", "green": "uchar", "blue": "uchar"},
    **{"a": "char", "b": "short", "c": "ushort", "d": "int", "e": "uint", "f": "float", "g": "double"},
}
ROWS = [
    (500000.125, 4000000.0625, 1.5, 1, 2, 255, -128, -32768, 65535, -(2**31), 2**32 - 1, 0.5, 1e300),
    (-1.0, 7.0, 2.5, 0, 0, 0, 127, 32767, 0, 2**31 - 1, 0, float("nan"), 1e-300),
]


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_every_type_in_every_encoding(tmp_path, encoding: str) -> None:
    (tmp_path / "a.ply").write_bytes(make_ply(encoding, TYPES, ROWS, "comment hello  world\nobj_info 7"))
    cloud = read(tmp_path / "a.ply")
    np.testing.assert_array_equal(cloud.positions, [row[:3] for row in ROWS])
    np.testing.assert_array_equal(cloud.attributes["colors"], [row[3:6] for row in ROWS])
    kinds = {"a": "i1", "b": "i2", "c": "u2", "d": "i4", "e": "u4", "f": "f4", "g": "f8"}
    for i, (name, kind) in enumerate(kinds.items()):
        assert cloud.attributes[name].dtype == kind
        np.testing.assert_array_equal(cloud.attributes[name], [row[6 + i] for row in ROWS])
    assert cloud.metadata["ply"] == {"comments": ["hello  world"], "obj_info": ["7"]}
    write(cloud, tmp_path / "b.ply")
    assert read(tmp_path / "b.ply").metadata["ply"] == {"comments": ["hello world"], "obj_info": ["7"]}


@pytest.mark.parametrize("ascii_text", [True, False])
def test_reads_what_open3d_writes(tmp_path, ascii_text: bool) -> None:
    o3d, cloud = import_open3d(), utm_cloud()
    cloud.attributes["echo"] = cloud.attributes["echo"].astype(np.int32)  # Open3D's PLY has no int16
    del cloud.attributes["features"]
    tensor = cloud.to_open3d_tensor()
    assert o3d.t.io.write_point_cloud(str(tmp_path / "a.ply"), tensor, write_ascii=ascii_text)
    back = read(tmp_path / "a.ply")
    np.testing.assert_allclose(back.positions, cloud.positions, rtol=5e-6 if ascii_text else 0)  # Open3D: 6 digits
    for name in ("colors", "labels", "echo", "intensity"):
        np.testing.assert_array_equal(back.attributes[name], cloud.attributes[name])
    np.testing.assert_allclose(back.attributes["normals"], cloud.attributes["normals"], atol=1e-5)


def test_open3d_reads_what_we_write(tmp_path) -> None:
    o3d, cloud = import_open3d(), utm_cloud()
    cloud.attributes["echo"] = cloud.attributes["echo"].astype(np.int32)
    cloud.attributes["intensity"] = cloud.attributes["intensity"].astype(np.float32)
    write(cloud, tmp_path / "a.ply")
    tensor = o3d.t.io.read_point_cloud(str(tmp_path / "a.ply"))
    np.testing.assert_array_equal(tensor.point["positions"].numpy(), cloud.positions)
    np.testing.assert_array_equal(tensor.point["colors"].numpy(), cloud.attributes["colors"])
    np.testing.assert_array_equal(tensor.point["normals"].numpy(), cloud.attributes["normals"])
    for name in ("labels", "gps_time", "echo", "intensity"):
        np.testing.assert_array_equal(tensor.point[name].numpy()[:, 0], cloud.attributes[name])
    for i in range(4):
        np.testing.assert_array_equal(tensor.point[f"features_{i}"].numpy()[:, 0], cloud.attributes["features"][:, i])
    legacy = o3d.io.read_point_cloud(str(tmp_path / "a.ply"))
    np.testing.assert_array_equal(np.asarray(legacy.points), cloud.positions)
    np.testing.assert_allclose(np.asarray(legacy.colors), cloud.attributes["colors"] / 255)


@pytest.mark.parametrize(
    ("names", "attribute"),
    [
        (("r", "g", "b"), "colors"),
        (("diffuse_red", "diffuse_green", "diffuse_blue"), "colors"),
        (("nx", "ny", "nz"), "normals"),
        (("normal_x", "normal_y", "normal_z"), "normals"),
        (("scalar_Intensity",), "intensity"),
        (("scalar_Classification",), "labels"),
        (("class",), "labels"),
        (("curvature",), "curvature"),
    ],
)
def test_names(tmp_path, names: tuple[str, ...], attribute: str) -> None:
    types = {"x": "float", "y": "float", "z": "float", **dict.fromkeys(names, "float")}
    values = [(0.0, 1.0, 2.0, *(float(i + 3) for i in range(len(names))))] * 2
    (tmp_path / "a.ply").write_bytes(make_ply("binary_little_endian", types, values))
    cloud = read(tmp_path / "a.ply")
    assert list(cloud.attributes) == [attribute]
    np.testing.assert_array_equal(cloud.attributes[attribute].reshape(2, -1), [[3, 4, 5][: len(names)]] * 2)


def test_alpha_stays_beside_the_colors(tmp_path) -> None:
    types = {**dict.fromkeys("xyz", "float"), **dict.fromkeys(("red", "green", "blue", "alpha"), "uchar")}
    (tmp_path / "a.ply").write_bytes(make_ply("ascii", types, [(0.0, 0.0, 0.0, 1, 2, 3, 4)]))
    cloud = read(tmp_path / "a.ply")
    assert cloud.attributes["colors"].tolist() == [[1, 2, 3]]
    assert cloud.attributes["alpha"].tolist() == [4]
    write(cloud, tmp_path / "b.ply")
    assert read(tmp_path / "b.ply").attributes["alpha"].tolist() == [4]


def test_ascii_digits_beyond_float_are_kept(tmp_path) -> None:
    types = dict.fromkeys("xyz", "float")
    (tmp_path / "a.ply").write_bytes(make_ply("ascii", types, [(500000.123, 4000000.456, 7.0)] * 2))
    cloud = read(tmp_path / "a.ply")
    write(cloud, tmp_path / "b.ply")
    for back in (cloud, read(tmp_path / "b.ply")):
        assert back.positions[0].tolist() == [500000.123, 4000000.456, 7.0]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, ending: str) -> None:
    text = make_ply("ascii", dict.fromkeys("xyz", "float"), [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]).decode()
    (tmp_path / "a.ply").write_bytes(text.replace("\n", ending).encode())
    assert read(tmp_path / "a.ply").positions.tolist() == [[1, 2, 3], [4, 5, 6]]


POLYGONS = [[0, 1, 2, 3], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]  # a pyramid on a square
FANS = [[0, 1, 2], [0, 2, 3], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]
CORNERS = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 1.0)]


def pyramid(encoding: str, polygons: list[list[int]] = POLYGONS) -> bytes:
    order = ">" if "big" in encoding else "<"
    parts = [
        f"{len(p)} {' '.join(map(str, p))} 9\n".encode()
        if encoding == "ascii"
        else struct.pack(f"{order}B{len(p)}iB", len(p), *p, 9)
        for p in polygons
    ]
    body = make_ply(encoding, dict.fromkeys("xyz", "double"), CORNERS, tail=b"".join(parts))
    face = f"element face {len(polygons)}\nproperty list uchar int vertex_indices\n"
    face += "property uchar flag\nend_header\n"
    return body.replace(b"end_header\n", face.encode(), 1)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("mixed", [True, False])
def test_faces(tmp_path, encoding: str, mixed: bool) -> None:
    (tmp_path / "a.ply").write_bytes(pyramid(encoding, POLYGONS if mixed else FANS))
    vertices, triangles = read_mesh(tmp_path / "a.ply")
    assert vertices.tolist() == [list(corner) for corner in CORNERS]
    assert triangles.tolist() == FANS
    reference = import_open3d().io.read_triangle_mesh(str(tmp_path / "a.ply"))
    assert np.asarray(reference.triangles).tolist() == FANS


def test_vertex_lists_and_foreign_elements(tmp_path) -> None:
    head = (
        "ply\nformat ascii 1.0\nelement camera 1\nproperty float f\nproperty list uchar float k\n"
        "element vertex 2\nproperty float x\nproperty list uchar int pair\nproperty float y\n"
        "property float z\nproperty list uchar int ragged\nend_header\n"
    )
    (tmp_path / "a.ply").write_text(head + "35.0 2 1 2\n1 2 10 11 2 3 0\n4 2 12 13 5 6 2 8 9\n")
    cloud = read(tmp_path / "a.ply")
    assert cloud.positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.attributes["pair"].tolist() == [[10, 11], [12, 13]]
    assert "ragged" not in cloud.attributes


def test_64_bit_integers_get_a_type_that_holds_them(tmp_path) -> None:
    values = {"small": [-5, 2**31 - 1], "large": [0, 2**32 - 1], "huge": [-(2**52), 2**52]}
    write(
        Cloud(np.eye(3)[:2], {name: np.array(v, dtype=np.int64) for name, v in values.items()}),
        tmp_path / "a.ply",
    )
    back = read(tmp_path / "a.ply").attributes
    assert {name: v.tolist() for name, v in back.items()} == values
    assert [back[name].dtype for name in values] == [np.int32, np.uint32, np.float64]
    beyond = {"a": np.array([2**60 + 1, -(2**60)]), "b": np.array([2**64 - 1, 0], np.uint64)}
    write(Cloud(np.eye(3)[:2], beyond), tmp_path / "b.ply")
    back = read(tmp_path / "b.ply").attributes
    assert {name: v.tolist() for name, v in back.items()} == {name: v.tolist() for name, v in beyond.items()}
    with pytest.raises(FileError, match="'name'"):
        write(Cloud(np.eye(3)[:1], {"name": np.array(["tree"])}), tmp_path / "b.ply")


def test_names_that_collide_or_have_blanks(tmp_path) -> None:
    attributes = {"red": [1, 2], "colors": np.zeros((2, 3), np.uint8), "my field": [3, 4]}
    write(Cloud(np.eye(3)[:2], attributes), tmp_path / "a.ply")
    back = read(tmp_path / "a.ply").attributes
    assert back["red_"].tolist() == [1, 2]
    assert back["my_field"].tolist() == [3, 4]


GOOD = make_ply("binary_little_endian", dict.fromkeys("xyz", "float"), [(1.0, 2.0, 3.0)] * 4)

TEXT = make_ply("ascii", dict.fromkeys("xyz", "float"), [(1.0, 2.0, 3.0)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"solid cube", "not a PLY"),
        (b"ply\nformat ascii 1.0\n", "end_header"),
        (GOOD[:-5], "truncated"),
        (GOOD + b"abcd", "4 bytes more"),
        (GOOD.replace(b"vertex 4", b"vertex 5"), "truncated"),
        (GOOD.replace(b"vertex 4", b"vertex 99999999999999"), "truncated"),
        (GOOD.replace(b"vertex 4", b"vertex -4"), "line 3"),
        (GOOD.replace(b"vertex 4", b"vertex four"), "line 3"),
        (GOOD.replace(b"element vertex", b"element points"), "no element 'vertex'"),
        (GOOD.replace(b"float y", b"flaot y"), "line 5"),
        (GOOD.replace(b"float y", b"float x"), "line 5"),
        (GOOD.replace(b"float y", b"float w"), "column y"),
        (GOOD.replace(b"binary_little_endian", b"binary_middle_endian"), "binary_middle_endian"),
        (GOOD.replace(b"format binary_little_endian 1.0\n", b""), "no 'format'"),
        (TEXT.replace(b"2.0", b"five"), r"line 8: 'five'"),
        (TEXT.replace(b"vertex 1", b"vertex 2"), "truncated"),
        (TEXT + b"4 5 6\n", "3 numbers more"),
        (make_ply("ascii", {**dict.fromkeys("xyz", "float"), "k": "uchar"}, [(1.0, 2.0, 3.0, 300)]), "300"),
        (pyramid("ascii").replace(b"3 3 0 4 9", b"3 3 0 5 9"), "vertex 5"),
        (pyramid("binary_little_endian")[:-3], "truncated"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, content: bytes, message: str) -> None:
    (tmp_path / "broken.ply").write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        read(tmp_path / "broken.ply")
    assert "broken.ply" in str(caught.value)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_no_truncation_goes_unseen(tmp_path, encoding: str) -> None:
    whole = pyramid(encoding)
    for size in range(1, len(whole) - (2 if encoding == "ascii" else 0)):  # the last digit and line end: not seen
        (tmp_path / "cut.ply").write_bytes(whole[:size])
        with pytest.raises(FileError, match=r"cut\.ply"):
            read_ply(tmp_path / "cut.ply")
