"""COLMAP's points, against pycolmap and by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pcsr_zoo import Cloud, read, sample, upsample, write
from pcsr_zoo.errors import FileError

LINE = "7 1.5 2.5 3.5 10 20 30 0.25 1 4 2 9\n"
BYTES = struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ4I", 7, 1.5, 2.5, 3.5, 10, 20, 30, 0.25, 2, 1, 4, 2, 9)


@pytest.mark.parametrize(("name", "data"), [("points3D.txt", LINE.encode()), ("points3D.bin", BYTES)])
def test_one_point_by_hand(tmp_path, name, data) -> None:
    (tmp_path / name).write_bytes(data)
    cloud = read(tmp_path / name)
    assert cloud.positions.tolist() == [[1.5, 2.5, 3.5]]
    assert {key: values.tolist() for key, values in cloud.attributes.items()} == {
        "colors": [[10, 20, 30]],
        "error": [0.25],
        "point3D_id": [7],
    }
    more = Cloud.concatenate([cloud, Cloud(cloud.positions + 1, cloud.attributes)])
    write(more, tmp_path / "points3D_x2.txt")
    lines = (tmp_path / "points3D_x2.txt").read_text().splitlines()
    assert [line for line in lines if line[0] != "#"] == [LINE.strip(), "8 2.5 3.5 4.5 10 20 30 -1.0"]
    write(cloud, tmp_path / "points3D_again.bin")
    assert (tmp_path / "points3D_again.bin").read_bytes() == BYTES


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_pycolmap_reads_the_result_with_all_tracks(tmp_path, kind) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    options = pycolmap.SyntheticDatasetOptions()
    options.num_points3D = 60
    model = pycolmap.synthesize_dataset(options)
    (model.write_binary if kind == "bin" else model.write_text)(str(tmp_path))
    path = tmp_path / f"points3D.{kind}"
    cloud = read(path)
    for identifier, point in model.points3D.items():
        row = cloud.attributes["point3D_id"].tolist().index(identifier)
        np.testing.assert_array_equal(cloud.positions[row], point.xyz)
        np.testing.assert_array_equal(cloud.attributes["colors"][row], point.color)
    write(upsample(cloud, 3, model="midpoint", keep_input=True), path, like=cloud)
    back = pycolmap.Reconstruction()
    (back.read_binary if kind == "bin" else back.read_text)(str(tmp_path))
    assert len(back.points3D) == 180
    for identifier, point in model.points3D.items():
        there = back.points3D[identifier]
        np.testing.assert_array_equal(there.xyz, point.xyz)
        pairs = [[(e.image_id, e.point2D_idx) for e in p.track.elements] for p in (there, point)]
        assert pairs[0] == pairs[1]
    assert sum(len(point.track.elements) == 0 for point in back.points3D.values()) == 120


def test_points_that_are_left_out_are_told(tmp_path, caplog) -> None:
    (tmp_path / "points3D.txt").write_text("".join(f"{i} {i} 0 0 1 1 1 0.5\n" for i in range(1, 9)))
    cloud = read(tmp_path / "points3D.txt")
    write(sample(cloud, 2), tmp_path / "points3D_half.bin", like=cloud)
    assert "4 of 8 points" in caplog.text
    half = read(tmp_path / "points3D_half.bin")
    assert set(half.attributes["point3D_id"].tolist()) < set(range(1, 9))
    write(Cloud(np.eye(3)), tmp_path / "points3D_gray.bin")
    assert read(tmp_path / "points3D_gray.bin").attributes["colors"].tolist() == [[128] * 3] * 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("points3D.bin", BYTES[:-1]),
        ("points3D.bin", BYTES + b"1"),
        ("points3D.bin", b"1234"),
        ("points3D.bin", struct.pack("<Q", 2**62) + BYTES[8:]),
        ("points3D.bin", BYTES[:51] + b"\xff" * 8 + BYTES[59:]),
        ("points3D.txt", b"1 2 3\n"),
        ("points3D.txt", b"1 0 0 0 1 2 300 0.5\n"),
        ("points3D.txt", b"1 0 0 0 1 2 3 0.5 7\n"),
        ("points3D.txt", b"-1 0 0 0 1 2 3 0.5\n"),
    ],
)
def test_broken_files(tmp_path, name, data) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileError, match=name):
        read(tmp_path / name)
