"""Extra dimensions of LAS, against laspy and bytes packed after the specification."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from cli_run import run

from pcsr_zoo import Cloud, read, upsample, write
from pcsr_zoo.errors import FileError
from pcsr_zoo.io.laz import decompress

laspy = pytest.importorskip("laspy")
N = 60
TYPES = {"u1": 1, "u2": 3, "i2": 4, "u4": 5, "u8": 7, "f4": 9, "f8": 10}


def record(name: str, kind: str, none: float | None = None, scale: float = 0.0, offset: float = 0.0) -> bytes:
    """A record of an extra dimension (LAS 1.4 R15, table 24)."""
    options = (none is not None) + 2 + 4 + 8 * bool(scale) + 16 * bool(offset)
    wide = {"f": "d", "u": "Q", "i": "q"}[kind[0]]
    cast = float if wide == "d" else int
    limits = [struct.pack(f"<{wide}16x", cast(value)) for value in (none or 0, 1, 9)]
    return b"".join(
        [
            struct.pack("<2xBB32s4x", TYPES[kind], options, name.encode()),
            *limits,
            struct.pack("<d16xd16x", scale, offset),
            b"a description".ljust(32, b"\0"),
        ]
    )


def las_with(path, fields: dict[str, tuple[np.ndarray, bytes]], records: int = 1, suffix: str = ".las"):
    """A file with these columns, whose records are in so many variable length records."""
    rng = np.random.default_rng(0)
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales = [0.001] * 3
    for i, (values, _) in enumerate(fields.values()):
        header.add_extra_dim(laspy.ExtraBytesParams(f"d{i}", values.dtype))
    las = laspy.LasData(header)
    las.x, las.y, las.z = rng.uniform(0, 10, (3, N))
    las.intensity = np.arange(N)
    for i, (values, _) in enumerate(fields.values()):
        las[f"d{i}"] = values
    packed = [content for _, content in fields.values()]
    las.header.vlrs.extract("ExtraBytesVlr")
    for part in np.array_split(np.arange(len(packed)), records):
        las.header.vlrs.append(laspy.VLR("LASF_Spec", 4, "", b"".join(packed[i] for i in part)))
    with open(path, "wb+") as handle, laspy.LasWriter(handle, las.header, path.suffix == ".laz", closefd=False) as out:
        out.write_points(las.points)
    return path


def names_and_records(path) -> list[bytes]:
    """The 192 bytes of each extra dimension of a file, found without laspy."""
    data = path.read_bytes()
    at, found = struct.unpack_from("<H", data, 94)[0], b""
    for _ in range(struct.unpack_from("<I", data, 100)[0]):
        user, number, length = struct.unpack_from("<16sHH", data, at + 2)
        if user.rstrip(b"\0") == b"LASF_Spec" and number == 4:
            found += data[at + 54 : at + 54 + length]
        at += 54 + length
    return [found[i : i + 192] for i in range(0, len(found), 192)]


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize("records", [1, 2])
def test_names_map_back_to_themselves(tmp_path, suffix: str, records: int) -> None:
    rng = np.random.default_rng(1)
    names = ["Pulse width", "height above ground", "labels", "Intensity", "x", "class", "1st", "Pulse width", "a_0"]
    fields = {str(i): (rng.random(N).astype("f4"), record(name, "f4")) for i, name in enumerate(names)}
    path = las_with(tmp_path / f"a{suffix}", fields, records)
    cloud = read(path)
    write(cloud[::2], tmp_path / f"b{suffix}")
    assert names_and_records(tmp_path / f"b{suffix}") == [content for _, content in fields.values()]
    again = read(tmp_path / f"b{suffix}")
    assert list(again.attributes) == list(cloud.attributes)
    stored = [values[::2] for values, _ in fields.values()]
    for values in stored:
        assert any(np.array_equal(values, found) for found in again.attributes.values())
    run("upsample", path, "-x", 2, "-m", "midpoint", "-o", tmp_path / f"c{suffix}")
    dense = read(tmp_path / f"c{suffix}")
    assert [name for name in dense.attributes if name != "synthetic"] == list(cloud.attributes)
    for name, values in cloud.attributes.items():
        np.testing.assert_array_equal(dense.attributes[name][:N], values, err_msg=name)


def test_no_data_scale_and_offset(tmp_path) -> None:
    rng = np.random.default_rng(2)
    missing = rng.random(N) < 0.4
    dist = np.where(missing, -9999, rng.random(N)).astype("f4")
    raw = np.where(missing, -32768, rng.integers(0, 999, N)).astype("i2")
    fields = {
        "dist": (dist, record("dist", "f4", none=-9999)),
        "depth": (raw, record("depth", "i2", none=-32768, scale=0.01, offset=3)),
        "stamp": (rng.integers(0, 2**63, N, dtype="u8"), record("stamp", "u8", none=0)),
    }
    path = las_with(tmp_path / "a.las", fields)
    cloud = read(path)
    np.testing.assert_array_equal(np.isnan(cloud.attributes["dist"]), missing)
    np.testing.assert_allclose(cloud.attributes["depth"][~missing], raw[~missing] * 0.01 + 3)
    run("upsample", path, "-x", 3, "-m", "midpoint", "-o", tmp_path / "b.las")
    assert names_and_records(tmp_path / "b.las") == [content for _, content in fields.values()]
    stored = laspy.read(str(tmp_path / "b.las")).points.array
    for name, values, none in (("dist", dist, -9999), ("depth", raw, -32768)):
        np.testing.assert_array_equal(stored[name][:N], values)
        new = stored[name][N:]
        known = values[values != none]
        assert ((new == none) | ((new >= known.min()) & (new <= known.max()))).all()
        assert (new == none).any()
    assert np.isin(stored["stamp"], fields["stamp"][0]).all()
    bad = Cloud(cloud.positions, {**cloud.attributes, "depth": np.full(N, 1e6)}, cloud.metadata)
    with pytest.raises(FileError, match=r"c\.las.*'depth'"):
        write(bad, tmp_path / "c.las")


def test_bytes_that_no_record_describes(tmp_path) -> None:
    fields = {"a": (np.arange(N, dtype="u4"), record("a", "u4")), "b": (np.arange(N, dtype="u2"), record("b", "u2"))}
    path = las_with(tmp_path / "a.las", fields)
    data = bytearray(path.read_bytes())
    at = data.index(b"LASF_Spec")
    data[at : at + 9] = b"SOMEBODY_"
    (tmp_path / "b.las").write_bytes(data)
    cloud = read(tmp_path / "b.las")
    np.testing.assert_array_equal(cloud.attributes["ExtraBytes"][:, 0], np.arange(N))
    write(cloud, tmp_path / "c.las")
    np.testing.assert_array_equal(read(tmp_path / "c.las").attributes["ExtraBytes"], cloud.attributes["ExtraBytes"])
    cloud.attributes["new"] = np.arange(N) / 7
    write(cloud, tmp_path / "d.las")
    np.testing.assert_array_equal(laspy.read(str(tmp_path / "d.las"))["new"], np.arange(N) / 7)


def test_dimensions_that_nobody_used_do_not_appear(tmp_path) -> None:
    rng = np.random.default_rng(0)
    cloud = Cloud(rng.uniform(0, 9, (N, 3)), {"gain": rng.random(N), "labels": rng.integers(0, 9, N)})
    write(cloud, tmp_path / "a.pcd")
    run("sample", tmp_path / "a.pcd", "-x", 1, "-o", tmp_path / "b.laz")
    run("sample", tmp_path / "b.laz", "-x", 1, "-o", tmp_path / "c.pcd")
    back = read(tmp_path / "c.pcd")
    assert set(back.attributes) == {"gain", "labels"}
    again = read(tmp_path / "b.laz")
    write(again, tmp_path / "d.las")
    las = laspy.read(str(tmp_path / "d.las"))
    assert (las.return_number == 1).all()
    assert (las.number_of_returns == 1).all()


def test_las_1_0(tmp_path) -> None:
    path = las_with(tmp_path / "a.las", {})
    data = bytearray(path.read_bytes())
    data[25] = 0
    path.write_bytes(data)
    write(read(path)[:5], tmp_path / "b.las")
    las = laspy.read(str(tmp_path / "b.las"))
    assert str(las.header.version) == "1.2"
    np.testing.assert_array_equal(las.intensity, np.arange(5))


@pytest.mark.parametrize(("at", "value"), [(131, 0.0), (131, float("nan")), (139, float("inf")), (155, 1e300)])
def test_scales_and_offsets_that_give_no_coordinates(tmp_path, at: int, value: float) -> None:
    path = las_with(tmp_path / "a.las", {})
    data = bytearray(path.read_bytes())
    data[at : at + 8] = struct.pack("<d", value)
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"a\.las: .*scale"):
        read(path)


def test_copc_is_not_written_under_its_name(tmp_path) -> None:
    for name in ("a.copc.laz", "A.COPC.LAZ"):
        with pytest.raises(FileError, match="COPC"):
            write(Cloud(np.eye(3)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_degrees_are_named(tmp_path, caplog) -> None:
    wkt = 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257]],AUTHORITY["EPSG","4326"]]'
    projected = f'PROJCS["WGS 84 / UTM zone 33N",{wkt},AUTHORITY["EPSG","32633"]]'
    for text, name in ((wkt, "EPSG:4326"), (projected, None)):
        header = laspy.LasHeader(point_format=6, version="1.4")
        header.scales = [1e-7] * 3
        header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(text))
        las = laspy.LasData(header)
        las.x, las.y, las.z = np.random.default_rng(0).uniform(0, 1, (3, N))
        las.write(str(tmp_path / "a.las"))
        caplog.clear()
        upsample(tmp_path / "a.las", 2, model="midpoint")
        assert ("degrees" in caplog.text) == (name is not None)
        assert (name or "") in caplog.text


def test_a_decoder_that_fails_is_one_error(tmp_path) -> None:
    rng = np.random.default_rng(0)
    path = las_with(tmp_path / "a.laz", {"a": (rng.random(N), record("a", "f8"))})
    whole = path.read_bytes()
    with laspy.open(path) as reader:
        start, header = reader.header.offset_to_point_data, reader.header
        packed = bytes(header.vlrs.get("LasZipVlr")[0].record_data)
    size = header.point_format.size
    np.testing.assert_array_equal(
        np.frombuffer(decompress(path, start, N, size, packed), np.uint8),
        laspy.read(str(path)).points.array.view(np.uint8),
    )
    for change in (b"\xff" * 8, struct.pack("<q", 10), struct.pack("<q", len(whole) - 4)):  # the place of its table
        path.write_bytes(whole[:start] + change + whole[start + 8 :])
        with pytest.raises(FileError, match=r"a\.laz"):
            read(path)
    with pytest.raises(FileError, match="memory"):
        decompress(path, start, 10**9, size, packed)
