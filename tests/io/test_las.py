"""LAS and LAZ against laspy itself."""

from __future__ import annotations

import builtins
import copy
import pickle

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import DependencyError, FileError
from pcsr_zoo.io import describe, read, write
from pcsr_zoo.io.las_header import scale_and_offset

laspy = pytest.importorskip("laspy")
N = 300
WKT = 'PROJCS["ETRS89 / UTM zone 33N",GEOGCS["ETRS89"]]'


def make_las(path, point_format: int = 7, version: str = "1.4", colors: int = 65535):
    """A file with every kind of thing that has to survive; returns its `laspy.LasData`."""
    rng = np.random.default_rng(0)
    header = laspy.LasHeader(point_format=point_format, version=version)
    header.scales, header.offsets = [0.001, 0.002, 0.0005], [500000, 4000000, 100]
    header.generating_software = "a scanner"
    header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(WKT))
    header.vlrs.append(laspy.VLR("somebody", 77, "notes", b"keep me"))
    header.global_encoding.wkt = point_format >= 6
    header.add_extra_dims(
        [
            laspy.ExtraBytesParams("amplitude", "f4", description="echo amplitude"),
            laspy.ExtraBytesParams(
                "depth", "i2", description="scaled", scales=np.array([0.01]), offsets=np.array([3.0])
            ),
            laspy.ExtraBytesParams("beam", "3f8", description="a vector"),
        ]
    )
    las = laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(N, header=header))
    las.x, las.y, las.z = (rng.random((N, 3)) * [100, 100, 20] + [5e5, 4e6, 120]).T
    for name in las.point_format.dimension_names:
        if name in ("X", "Y", "Z", "amplitude", "depth", "beam", "gps_time"):
            continue
        info = las.point_format.dimension_by_name(name)
        top = colors if name in ("red", "green", "blue") else 2 ** min(info.num_bits, 7) - 1
        las[name] = rng.integers(0, top + 1, N)
    las.amplitude, las.depth, las.beam = rng.random(N), np.round(rng.random(N), 2) + 3, rng.random((N, 3))
    if "gps_time" in las.point_format.dimension_names:
        las.gps_time = rng.random(N) * 1e9
    if version == "1.4":
        las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("somebody", 78, "long", b"x" * 70000)])
    las.write(str(path))
    return laspy.read(str(path))


def records(las) -> list[tuple]:
    """Without the one that describes extra dimensions: it has their minima and maxima, which change."""
    kept = [v for v in las.header.vlrs if (v.user_id, v.record_id) != ("LASF_Spec", 4)]
    return [(v.user_id, v.record_id, v.record_data_bytes()) for v in kept]


FORMATS = [(7, "1.4"), (6, "1.4"), (8, "1.4"), (3, "1.2"), (1, "1.1"), (0, "1.2"), (2, "1.3")]


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize(("point_format", "version"), FORMATS)
def test_read_write_with_another_number_of_points(tmp_path, suffix: str, point_format: int, version: str) -> None:
    las = make_las(tmp_path / f"a{suffix}", point_format, version)
    cloud = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(cloud.positions, np.asarray(las.xyz))
    index = np.random.default_rng(1).integers(0, N, 1000)
    write(cloud[index], tmp_path / f"b{suffix}")
    back = laspy.read(str(tmp_path / f"b{suffix}"))
    assert back.header.are_points_compressed == (suffix == ".laz")
    assert back.header.point_count == len(back.points) == 1000
    assert str(back.header.version) == version
    assert back.header.point_format == las.header.point_format
    np.testing.assert_array_equal(back.header.scales, las.header.scales)
    np.testing.assert_array_equal(back.header.offsets, las.header.offsets)
    assert back.header.global_encoding.wkt == las.header.global_encoding.wkt
    assert records(back) == records(las)
    assert ("somebody", 77, b"keep me") in records(back)
    if version == "1.4":
        assert [(v.user_id, v.record_id, v.record_data) for v in back.evlrs] == [("somebody", 78, b"x" * 70000)]
    for name in las.point_format.dimension_names:  # raw integers, so X Y Z and scaled dimensions too
        np.testing.assert_array_equal(back.points.array[name] if name in "XYZ" else back[name], las[name][index], name)
    for name, text in (("amplitude", "echo amplitude"), ("depth", "scaled"), ("beam", "a vector")):
        assert back.point_format.dimension_by_name(name).description == text
    np.testing.assert_array_equal(back.header.mins, np.asarray(back.xyz).min(axis=0))


def test_the_header_can_be_copied_and_sent_to_another_process(tmp_path) -> None:
    make_las(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    for i, metadata in enumerate((copy.deepcopy(cloud.metadata), pickle.loads(pickle.dumps(cloud.metadata)))):
        write(Cloud(cloud.positions, cloud.attributes, metadata), tmp_path / f"b{i}.las")
        assert (tmp_path / f"b{i}.las").read_bytes() == (tmp_path / "a.las").read_bytes()


def test_attributes(tmp_path) -> None:
    las = make_las(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    np.testing.assert_array_equal(cloud.attributes["colors"], np.stack([las.red, las.green, las.blue], axis=1))
    assert cloud.attributes["colors"].dtype == np.uint16
    np.testing.assert_array_equal(cloud.attributes["labels"], las.classification)
    np.testing.assert_array_equal(cloud.attributes["intensity"], las.intensity)
    np.testing.assert_array_equal(cloud.attributes["gps_time"], las.gps_time)
    np.testing.assert_array_equal(cloud.attributes["beam"], las.beam)
    np.testing.assert_allclose(cloud.attributes["depth"], np.asarray(las.depth))
    names = set(las.point_format.dimension_names) - {"X", "Y", "Z", "red", "green", "blue", "classification"}
    assert set(cloud.attributes) == names | {"colors", "labels"}


def test_a_header_that_laspy_would_make_is_not_used(tmp_path) -> None:
    """laspy's default scale of .01 would move points by 5 mm."""
    cloud = utm_cloud()
    write(cloud, tmp_path / "a.las")
    las = laspy.read(str(tmp_path / "a.las"))
    assert las.header.point_format.id == 7
    assert str(las.header.version) == "1.4"
    assert (las.header.scales <= 1e-3).all()
    np.testing.assert_allclose(las.xyz, cloud.positions, rtol=0, atol=las.header.scales[0] / 2 * 1.001)
    np.testing.assert_array_equal(las.red, cloud.attributes["colors"][:, 0].astype(int) * 257)
    np.testing.assert_array_equal(las.classification, cloud.attributes["labels"])
    np.testing.assert_array_equal(las.intensity, cloud.attributes["intensity"])
    np.testing.assert_array_equal(las.gps_time, cloud.attributes["gps_time"])
    np.testing.assert_array_equal(las["echo"], cloud.attributes["echo"])
    np.testing.assert_array_equal(las["features_3"], cloud.attributes["features"][:, 3])
    np.testing.assert_array_equal(las["nx"], cloud.attributes["normals"][:, 0])
    assert (las.return_number == 1).all()
    del cloud.attributes["colors"]
    write(cloud, tmp_path / "b.laz")
    assert laspy.read(str(tmp_path / "b.laz")).header.point_format.id == 6


@pytest.mark.parametrize("extent", [1e-6, 1e-3, 1.0, 37.0, 1e3, 1e5, 1e7, 1e9])
@pytest.mark.parametrize("center", [0.0, 1e-3, 12.3456789, 5e5, 4.6e6])
def test_scale_and_offset(extent: float, center: float) -> None:
    positions = np.random.default_rng(0).random((10_000, 3)) * extent + center
    scale, offset = scale_and_offset(positions)
    stored = np.rint((positions - offset) / scale)
    assert np.abs(stored).max() < 2**31
    error = np.abs(stored * scale + offset - positions).max()
    spacing = extent * 3**0.5 / 100
    digits = 1e-15 * (center + extent)
    assert error <= max(0.5e-4 * spacing, digits) * 1.01
    assert error <= 0.5e-3 * 1.01 or extent >= 1e6
    for axis in range(3):
        assert len(repr(float(offset[axis]))) < 20


def test_files_with_bytes_as_colors(tmp_path) -> None:
    las = make_las(tmp_path / "a.las", colors=255)
    cloud = read(tmp_path / "a.las")
    assert cloud.attributes["colors"].dtype == np.uint8
    np.testing.assert_array_equal(cloud.attributes["colors"][:, 0], las.red)
    write(cloud, tmp_path / "b.las")
    np.testing.assert_array_equal(laspy.read(str(tmp_path / "b.las")).red, las.red)
    write(cloud, tmp_path / "b.ply")
    np.testing.assert_array_equal(read(tmp_path / "b.ply").attributes["colors"][:, 0], las.red)


@pytest.mark.parametrize(("point_format", "with_colors"), [(0, 2), (1, 3), (6, 7)])
def test_a_cloud_that_gains_attributes(tmp_path, point_format: int, with_colors: int) -> None:
    make_las(tmp_path / "a.las", point_format, "1.4" if point_format > 5 else "1.1")
    cloud = read(tmp_path / "a.las")
    cloud.attributes["colors"] = np.full((N, 3), 7, np.uint8)
    cloud.attributes["normals"] = np.tile([0.0, 0.6, 0.8], (N, 1)).astype(np.float32)
    cloud.attributes["a name of more than thirty-two bytes, which is LAS's limit"] = np.arange(N)
    write(cloud, tmp_path / "b.las")
    las = laspy.read(str(tmp_path / "b.las"))
    assert las.header.point_format.id == with_colors
    assert (np.asarray(las.red) == 7 * 257).all()
    np.testing.assert_array_equal(las["amplitude"], cloud.attributes["amplitude"])
    back = read(tmp_path / "b.las")
    np.testing.assert_array_equal(back.attributes["normals"], cloud.attributes["normals"])
    np.testing.assert_array_equal(back.attributes["a_name_of_more_than_thirty-two_b"], np.arange(N))
    write(back[:10], tmp_path / "c.las")
    assert read(tmp_path / "c.las").attributes["normals"].tolist() == back.attributes["normals"][:10].tolist()


def test_interpolated_values_become_integers_again(tmp_path) -> None:
    make_las(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    exact = cloud.attributes["intensity"]
    cloud.attributes["intensity"] = exact + 0.4
    cloud.attributes["colors"] = cloud.colors_as_float()
    write(cloud, tmp_path / "b.las")
    las = laspy.read(str(tmp_path / "b.las"))
    np.testing.assert_array_equal(las.intensity, exact)
    np.testing.assert_array_equal(las.red, read(tmp_path / "a.las").attributes["colors"][:, 0])


def test_intensity_and_labels_of_any_range(tmp_path) -> None:
    base = np.eye(3)
    write(Cloud(base, {"intensity": [0.0, 0.5, 1.0], "labels": [0, 5, 1000]}), tmp_path / "a.las")
    back = read(tmp_path / "a.las").attributes
    assert back["intensity"].tolist() == [0, 32768, 65535]
    assert 1000 in np.concatenate([v.ravel() for k, v in back.items() if k.startswith("labels")])
    write(Cloud(base, {"intensity": [-900.5, 0, 700]}), tmp_path / "b.las")
    assert read(tmp_path / "b.las").attributes["raw_intensity"].tolist() == [-900.5, 0, 700]


def test_values_that_do_not_fit_are_refused(tmp_path) -> None:
    make_las(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    far = Cloud(cloud.positions + 1e8, cloud.attributes, cloud.metadata)
    with pytest.raises(FileError, match=r"b\.las: .*position"):
        write(far, tmp_path / "b.las")
    cloud.attributes["return_number"] = np.full(N, 99)
    with pytest.raises(FileError, match=r"'return_number' .* 0 to 15, .* 99"):
        write(cloud, tmp_path / "b.las")
    bad = Cloud([[0, 0, 0], [np.nan, 0, 0]])
    with pytest.raises(FileError, match="row 1"):
        write(bad, tmp_path / "b.las")
    assert not (tmp_path / "b.las").exists()


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_truncated_and_broken(tmp_path, suffix: str) -> None:
    las = make_las(tmp_path / f"a{suffix}", 3, "1.2")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    row = las.header.point_format.size
    cuts = [10, 100, 226, 300, len(whole) // 2, len(whole) - 5, len(whole) - row, len(whole) - 3 * row]
    broken = [whole[:cut] for cut in cuts] + [b"nonsense" * 100, b"LASF" + bytes(500), b"PLY"]
    for content in broken:
        (tmp_path / f"cut{suffix}").write_bytes(content)
        with pytest.raises(FileError, match=rf"cut\{suffix}"):
            read(tmp_path / f"cut{suffix}")


def test_records_of_a_copc_octree_are_not_copied(tmp_path) -> None:
    las = make_las(tmp_path / "a.laz")
    las.header.vlrs.append(laspy.VLR("copc", 1, "", bytes(160)))
    las.evlrs.append(laspy.VLR("copc", 1000, "", bytes(32)))
    las.write(str(tmp_path / "a.laz"))
    write(read(tmp_path / "a.laz")[:10], tmp_path / "b.laz")
    back = laspy.read(str(tmp_path / "b.laz"))
    assert "copc" not in {record.user_id for record in [*back.header.vlrs, *back.evlrs]}
    assert "somebody" in {record.user_id for record in back.evlrs}


def test_describe(tmp_path) -> None:
    make_las(tmp_path / "a.laz")
    about = describe(tmp_path / "a.laz")
    assert about["format"] == "LAS"
    assert about["encoding"] == "LAZ"
    assert about["points"] == N
    details = about["details"]
    assert details["las_version"] == "1.4"
    assert details["point_format"] == 7
    assert details["scales"] == [0.001, 0.002, 0.0005]
    assert details["offsets"] == [500000, 4000000, 100]
    assert details["crs"] == WKT
    assert details["extra_dimensions"] == ["amplitude", "depth", "beam"]


def test_without_laspy(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.las").write_bytes(b"LASF")
    real = builtins.__import__

    def missing(name, *args, **options):
        if name.partition(".")[0] == "laspy":
            raise ImportError("No module named 'laspy'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DependencyError, match=r'pip install "pcsr-zoo\[las\]"'):
        read(tmp_path / "a.las")
    with pytest.raises(DependencyError, match=r'pip install "pcsr-zoo\[las\]"'):
        write(Cloud(np.eye(3)), tmp_path / "b.las")


def test_without_a_laz_backend(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(laspy.LazBackend, "detect_available", classmethod(lambda cls: ()))
    with pytest.raises(DependencyError, match="lazrs"):
        write(Cloud(np.eye(3)), tmp_path / "b.laz")
    write(Cloud(np.eye(3)), tmp_path / "b.las")
