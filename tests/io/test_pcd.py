"""PCD against Open3D, and against bytes packed here."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import CloudError, FileError
from pcsr_zoo.io import describe, lzf, read, write

HEADER = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z{fields}
SIZE 4 4 4{sizes}
TYPE F F F{types}
COUNT 1 1 1{counts}
WIDTH {width}
HEIGHT {height}
VIEWPOINT 1 2 3 0 1 0 0
POINTS {points}
DATA {data}
"""


def header(data: str, width: int, height: int = 1, fields="", sizes="", types="", counts="", points=None) -> bytes:
    points = width * height if points is None else points
    return HEADER.format(**locals()).encode()


def literals(data: bytes) -> bytes:
    """The simplest LZF stream: nothing but literal runs."""
    return b"".join(bytes([len(data[i : i + 32]) - 1]) + data[i : i + 32] for i in range(0, len(data), 32))


@pytest.mark.parametrize("mode", ["ascii", "binary", "compressed"])
def test_reads_what_open3d_writes(tmp_path, mode: str) -> None:
    """40,000 points, some of them alike, so that every kind of LZF copy occurs."""
    o3d = import_open3d()
    rng = np.random.default_rng(0)
    positions = np.round(rng.random((40_000 if mode == "compressed" else 500, 3)), 2).astype(np.float32)
    cloud = o3d.t.geometry.PointCloud(o3d.core.Tensor(positions))
    columns = {
        "colors": np.repeat(rng.integers(0, 256, (len(positions) // 4, 3)), 4, axis=0).astype(np.uint8),
        "normals": rng.normal(size=positions.shape).astype(np.float32),
        "curvature": rng.random((len(positions), 1)).astype(np.float32),
        "ring": (np.arange(len(positions)) % 64).astype(np.uint16)[:, None],
    }
    for name, values in columns.items():
        cloud.point[name] = o3d.core.Tensor(values)
    path = tmp_path / "a.pcd"
    assert o3d.t.io.write_point_cloud(str(path), cloud, mode == "ascii", mode == "compressed")
    back = read(path)
    assert back.metadata["encoding"] == {"compressed": "binary_compressed"}.get(mode, mode)
    atol = 1e-5 if mode == "ascii" else 0
    np.testing.assert_allclose(back.positions, positions, atol=atol)
    np.testing.assert_allclose(back.attributes["normals"], columns["normals"], atol=atol, rtol=1e-5)
    np.testing.assert_array_equal(back.attributes["ring"], columns["ring"][:, 0])
    np.testing.assert_allclose(back.attributes["curvature"], columns["curvature"][:, 0], atol=atol)
    if mode != "ascii":  # in ascii, Open3D prints the packed colors with too few digits
        np.testing.assert_array_equal(back.attributes["colors"], columns["colors"])


def test_open3d_reads_what_we_write(tmp_path) -> None:
    o3d, cloud = import_open3d(), utm_cloud()
    del cloud.attributes["features"]
    write(cloud, tmp_path / "utm.pcd")
    tensor = o3d.t.io.read_point_cloud(str(tmp_path / "utm.pcd"))
    np.testing.assert_array_equal(tensor.point["positions"].numpy(), cloud.positions)
    np.testing.assert_array_equal(tensor.point["intensity"].numpy()[:, 0], cloud.attributes["intensity"])
    np.testing.assert_array_equal(tensor.point["echo"].numpy()[:, 0], cloud.attributes["echo"])
    np.testing.assert_array_equal(tensor.point["label"].numpy()[:, 0], cloud.attributes["labels"])
    near = Cloud(cloud.positions - [5e5, 4e6, 0], cloud.attributes)
    write(near, tmp_path / "near.pcd")
    legacy = o3d.io.read_point_cloud(str(tmp_path / "near.pcd"))
    np.testing.assert_array_equal(np.asarray(legacy.points), near.positions.astype(np.float32))
    np.testing.assert_allclose(np.asarray(legacy.colors), near.attributes["colors"] / 255)
    np.testing.assert_allclose(np.asarray(legacy.normals), near.attributes["normals"])


@pytest.mark.parametrize(("name", "kind"), [("rgb", "F"), ("rgb", "U"), ("rgba", "U"), ("rgb", "I")])
@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_packed_colors(tmp_path, name: str, kind: str, data: str) -> None:
    packed = struct.pack("<I", 7 << 24 | 200 << 16 | 100 << 8 | 50)
    head = header(data, 2, fields=" " + name, sizes=" 4", types=" " + kind, counts=" 1")
    rows = struct.pack("<3f", 1, 2, 3) + packed + struct.pack("<3f", 4, 5, 6) + packed
    columns = struct.pack("<6f", 1, 4, 2, 5, 3, 6) + packed * 2
    number = struct.unpack({"F": "<f", "U": "<I", "I": "<i"}[kind], packed)[0]
    body = {
        "ascii": f"1 2 3 {number!r}\n4 5 6 {number!r}\n".encode(),
        "binary": rows,
        "binary_compressed": struct.pack("<II", len(literals(columns)), len(columns)) + literals(columns),
    }[data]
    (tmp_path / "a.pcd").write_bytes(head + body)
    cloud = read(tmp_path / "a.pcd")
    assert cloud.positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.attributes["colors"].tolist() == [[200, 100, 50]] * 2
    assert ("alpha" in cloud.attributes) == (name == "rgba")
    write(cloud, tmp_path / "b.pcd")
    again = read(tmp_path / "b.pcd")
    assert again.attributes["colors"].tolist() == [[200, 100, 50]] * 2
    if name == "rgba":
        assert again.attributes["alpha"].tolist() == [7, 7]


def test_organized_clouds_drop_the_pixels_that_saw_nothing(tmp_path) -> None:
    body = b"1 2 3\nnan nan nan\n4 5 6\n7 8 nan\n"
    (tmp_path / "grid.pcd").write_bytes(header("ascii", 2, 2) + body)
    cloud = read(tmp_path / "grid.pcd")
    assert cloud.positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert describe(tmp_path / "grid.pcd")["invalid_points"] == 2
    (tmp_path / "list.pcd").write_bytes(header("ascii", 4, 1) + body)
    assert read(tmp_path / "list.pcd").positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(CloudError, match=r"list\.pcd.*row 1"):
        read(tmp_path / "list.pcd", strict=True)


def test_viewpoint_survives(tmp_path) -> None:
    (tmp_path / "a.pcd").write_bytes(header("ascii", 1) + b"1 2 3\n")
    write(read(tmp_path / "a.pcd"), tmp_path / "b.pcd")
    assert read(tmp_path / "b.pcd").metadata["pcd"]["viewpoint"] == [1, 2, 3, 0, 1, 0, 0]


@pytest.mark.parametrize("data", ["ascii", "binary"])
def test_vectors_and_padding(tmp_path, data: str) -> None:
    head = header(data, 1, fields=" _ fpfh", sizes=" 1 4", types=" U F", counts=" 4 3")
    body = b"1 2 3 0 0 0 0 9 8 7\n" if data == "ascii" else struct.pack("<3f4x3f", 1, 2, 3, 9, 8, 7)
    (tmp_path / "a.pcd").write_bytes(head + body)
    cloud = read(tmp_path / "a.pcd")
    assert list(cloud.attributes) == ["fpfh"]
    assert cloud.attributes["fpfh"].tolist() == [[9, 8, 7]]


def test_lzf_by_hand() -> None:
    assert lzf.decompress(bytes([2, *b"abc"]), 3) == b"abc"
    assert lzf.decompress(bytes([2, *b"abc", 1 << 5, 2]), 6) == b"abcabc"  # 3 bytes from 3 back
    assert lzf.decompress(bytes([0, *b"x", 7 << 5, 5, 0]), 15) == b"x" * 15  # 14 bytes, overlapping
    far = bytes(range(32)) * 9
    stream = literals(far) + bytes([(2 << 5) | ((288 - 1) >> 8), (288 - 1) & 255])
    assert lzf.decompress(stream, 292) == far + far[:4]
    for broken in (b"\x02ab", bytes([1 << 5]), bytes([1 << 5, 0]), bytes([0, 65, 7 << 5])):
        with pytest.raises(ValueError):
            lzf.decompress(broken, 3)
    with pytest.raises(ValueError, match=r"3 bytes.* 4"):
        lzf.decompress(bytes([2, *b"abc"]), 4)


BINARY = header("binary", 4) + struct.pack("<12f", *range(12))
COLUMNS = struct.pack("<12f", *range(12))
COMPRESSED = (
    header("binary_compressed", 4) + struct.pack("<II", len(literals(COLUMNS)), len(COLUMNS)) + literals(COLUMNS)
)
ASCII = header("ascii", 2) + b"1 2 3\n4 5 6\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ply\n", "not a PCD line|not a PCD"),
        (b"VERSION 0.7\nFIELDS x y z\n", "does not end with a line 'DATA'"),
        (BINARY[:-1], "truncated"),
        (BINARY.replace(b"WIDTH 4", b"WIDTH 40").replace(b"POINTS 4", b"POINTS 40"), "truncated"),
        (BINARY.replace(b"POINTS 4", b"POINTS 5"), "is not POINTS 5"),
        (BINARY.replace(b"WIDTH 4", b"WIDTH four"), "header is broken"),
        (BINARY.replace(b"WIDTH 4\n", b""), "WIDTH"),
        (BINARY.replace(b"SIZE 4 4 4", b"SIZE 4 4"), "different lengths"),
        (BINARY.replace(b"SIZE 4 4 4", b"SIZE 4 4 3"), "unknown type F 3"),
        (BINARY.replace(b"FIELDS x y z", b"FIELDS x y w"), "no fields x, y and z"),
        (BINARY.replace(b"DATA binary", b"DATA zipped"), "unknown DATA"),
        (COMPRESSED[:-1], "truncated"),
        (COMPRESSED[:-55], "truncated"),
        (COMPRESSED.replace(b"\x1f", b"\xff", 1), "compressed block is broken"),
        (
            COMPRESSED.replace(b"WIDTH 4", b"WIDTH 5").replace(b"POINTS 4", b"POINTS 5"),
            "5 points .*60 bytes",
        ),
        (ASCII[:-6], "2 points"),
        (ASCII + b"7 8 9\n", "2 points"),
        (ASCII.replace(b"4 5 6", b"4 5"), "line 13: 2 columns"),
        (ASCII.replace(b"4 5 6", b"4 five 6"), "line 13: 'five'"),
    ],
)
def test_broken_files(tmp_path, content: bytes, message: str) -> None:
    (tmp_path / "broken.pcd").write_bytes(content)
    with pytest.raises(FileError, match=message) as caught:
        read(tmp_path / "broken.pcd")
    assert "broken.pcd" in str(caught.value)


@pytest.mark.parametrize("content", [BINARY, COMPRESSED], ids=["binary", "compressed"])
def test_no_truncation_goes_unseen(tmp_path, content: bytes) -> None:
    for size in range(1, len(content)):
        (tmp_path / "cut.pcd").write_bytes(content[:size])
        with pytest.raises(FileError, match=r"cut\.pcd"):
            read(tmp_path / "cut.pcd")
