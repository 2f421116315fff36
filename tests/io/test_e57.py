"""E57, against pye57's own reader and writer."""

from __future__ import annotations

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo import Cloud, read, upsample, write
from pcsr_zoo.errors import FileError

pye57 = pytest.importorskip("pye57")
AXES = ("cartesianX", "cartesianY", "cartesianZ")
POSES = [([1.0, 0, 0, 0], [0.0, 0, 0]), ([np.cos(0.3), 0, 0, np.sin(0.3)], [5e5, 4e6, 30])]


def written_by_pye57(path, n: int = 30) -> np.ndarray:
    """Two scans; one point of each is invalid. Returns the valid points in the frame of the file."""
    rng = np.random.default_rng(0)
    with pye57.E57(str(path), "w") as file:
        for rotation, translation in POSES:
            fields = dict(zip(AXES, rng.normal(size=(3, n)), strict=True))
            fields |= {"intensity": rng.random(n).astype(np.float32), "rowIndex": np.arange(n)}
            fields |= {"columnIndex": np.arange(n), "cartesianInvalidState": (np.arange(n) == 3).astype(np.int8)}
            fields |= {f"color{name}": rng.integers(0, 256, n, np.uint8) for name in ("Red", "Green", "Blue")}
            file.write_scan_raw(fields, rotation=np.array(rotation), translation=np.array(translation))
    return points_of(path)


def points_of(path) -> np.ndarray:
    file = pye57.E57(str(path))
    scans = [file.read_scan(i) for i in range(file.scan_count)]
    return np.concatenate([np.stack([scan[axis] for axis in AXES], axis=1) for scan in scans])


def test_scans_of_pye57_are_read_in_the_frame_of_the_file(tmp_path) -> None:
    expected = written_by_pye57(tmp_path / "a.e57")
    cloud = read(tmp_path / "a.e57")
    np.testing.assert_allclose(cloud.positions, expected, rtol=0, atol=1e-9)
    assert cloud.attributes["scan"].tolist() == [0] * 29 + [1] * 29
    file = pye57.E57(str(tmp_path / "a.e57"))
    raw = [file.read_scan(i, colors=True, intensity=True) for i in range(2)]
    np.testing.assert_array_equal(cloud.attributes["intensity"], np.concatenate([s["intensity"] for s in raw]))
    colors = np.concatenate([np.stack([scan[f"color{c}"] for c in ("Red", "Green", "Blue")], axis=1) for scan in raw])
    np.testing.assert_array_equal(cloud.attributes["colors"], colors)


def test_a_result_has_the_scans_and_poses_of_its_source(tmp_path) -> None:
    before = written_by_pye57(tmp_path / "a.e57")
    source = read(tmp_path / "a.e57")
    result = upsample(source, 3, model="midpoint", keep_input=True)
    write(result, tmp_path / "b.e57", like=source)
    file = pye57.E57(str(tmp_path / "b.e57"))
    assert file.scan_count == 2
    header = file.get_header(1)
    np.testing.assert_allclose(header.rotation, POSES[1][0], atol=1e-12)
    np.testing.assert_array_equal(header.translation, POSES[1][1])
    assert file.get_header(0)["name"].value() == "Scan 0"
    after = points_of(tmp_path / "b.e57")
    assert len(after) == 3 * len(before)
    distance = np.linalg.norm(after[:, None] - before[None], axis=2).min(axis=0)
    assert distance.max() < 1e-8  # each measured point is among them, in double precision at 4e6


def test_pye57_reads_what_we_write(tmp_path) -> None:
    cloud = utm_cloud()
    write(cloud, tmp_path / "a.e57")
    file = pye57.E57(str(tmp_path / "a.e57"))
    scan = file.read_scan(0, colors=True, intensity=True)
    np.testing.assert_array_equal(np.stack([scan[axis] for axis in AXES], axis=1), cloud.positions)
    np.testing.assert_array_equal(scan["colorGreen"], cloud.attributes["colors"][:, 1])
    np.testing.assert_array_equal(scan["intensity"], cloud.attributes["intensity"])
    header = file.get_header(0)
    assert header.xMaximum == cloud.positions[:, 0].max()
    assert header["colorLimits"]["colorRedMaximum"].value() == 255


def test_spherical_coordinates(tmp_path) -> None:
    lib = pye57.libe57
    with pye57.E57(str(tmp_path / "a.e57"), "w") as wrapper:
        file = wrapper.image_file
        node, prototype = lib.StructureNode(file), lib.StructureNode(file)
        names = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
        arrays = dict(zip(names, np.array([[2.0, 30], [-2, 3], [-1.2, 0.3]]), strict=True))
        buffers = lib.VectorSourceDestBuffer()
        for name in names:
            prototype.set(name, lib.FloatNode(file, 0.0))
            buffers.append(lib.SourceDestBuffer(file, name, arrays[name], 2, True, True))
        points = lib.CompressedVectorNode(file, prototype, lib.VectorNode(file, True))
        node.set("guid", lib.StringNode(file, "{1}"))
        node.set("points", points)
        wrapper.data3d.append(node)
        writer = points.writer(buffers)
        writer.write(2)
        writer.close()
    cloud = read(tmp_path / "a.e57")
    r, a, e = (arrays[name] for name in names)
    np.testing.assert_allclose(np.linalg.norm(cloud.positions, axis=1), r)
    np.testing.assert_allclose(cloud.positions[:, 2] / r, np.sin(e))
    np.testing.assert_allclose(np.arctan2(cloud.positions[:, 1], cloud.positions[:, 0]), a)


def test_names_that_e57_does_not_allow(tmp_path) -> None:
    given = {"größe": np.arange(4.0), "gr  e": np.arange(4) + 9, "1st": np.zeros(4, bool), "scan": np.arange(4)}
    write(Cloud(np.eye(4)[:, :3], given), tmp_path / "a.e57")
    found = read(tmp_path / "a.e57").attributes
    assert len(found) == 4
    assert sorted(values.tolist() for values in found.values()) == sorted(v.tolist() for v in given.values())


def test_broken_files(tmp_path) -> None:
    write(Cloud(np.random.default_rng(0).normal(size=(500, 3))), tmp_path / "a.e57")
    whole = (tmp_path / "a.e57").read_bytes()
    changed = bytearray(whole)
    changed[3000] ^= 1  # libE57Format checks each page
    for data in (whole[:-1024], whole[:2000], b"ASTM-E57", b"text\n" * 300, bytes(changed)):
        (tmp_path / "b.e57").write_bytes(data)
        with pytest.raises(FileError, match=r"b\.e57"):
            read(tmp_path / "b.e57")
