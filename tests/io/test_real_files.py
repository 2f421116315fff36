"""Files as programs and scanners write them: nothing is wrong and silent."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from cli_run import run

from pcsr_zoo import Cloud, read, upsample, write
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.io import describe, read_mesh

RNG = np.random.default_rng(3)
N = 48
XYZ = np.column_stack([RNG.uniform(0, 5, (N, 2)), RNG.uniform(-0.3, 0.3, N)]).round(4).astype(np.float32)
RGB = np.clip(RNG.integers(10, 240, (N, 1)) + RNG.integers(-9, 10, (N, 3)), 0, 255)
UP = np.tile([0.0, 0.6, 0.8], (N, 1))


def text_of(*columns: np.ndarray) -> str:
    table = np.column_stack([XYZ, *columns])
    return "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in table)


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# -- text -----------------------------------------------------------------------------------------------------------

FRACTION, ALPHA = RNG.random(N), np.full(N, 255)


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("a.txt", [RGB, RNG.integers(0, 200, N)], ["colors", "intensity"]),
        ("a.txt", [RGB, FRACTION], ["colors", "intensity"]),
        ("a.xyz", [RGB, ALPHA], ["colors", "alpha"]),
        ("a.xyz", [RGB, UP], ["colors", "normals"]),
        ("a.asc", [UP, RGB], ["normals", "colors"]),
        ("a.asc", [UP, RGB, FRACTION], ["normals", "colors", "intensity"]),
        ("a.txt", [1000 * FRACTION, RGB], ["intensity", "colors"]),
        ("a.txt", [1000 * FRACTION, RGB, UP], ["intensity", "colors", "normals"]),
        ("a.pts", [RGB], ["colors"]),
        ("a.pts", [RNG.integers(0, 255, N), RGB], ["intensity", "colors"]),
        ("a.txt", [5 * FRACTION - 7, 5 * FRACTION], ["features"]),
    ],
)
def test_columns_without_names(tmp_path, caplog, name: str, columns: list, expected: list[str]) -> None:
    cloud = read(saved(tmp_path, name, text_of(*columns)))
    assert set(cloud.attributes) == set(expected)
    for key, values in zip(expected, columns, strict=False):
        if key != "features":
            np.testing.assert_allclose(cloud.attributes[key], values, rtol=1e-6)
    assert ("--columns" in caplog.text) == (name != "a.pts")  # what was assumed is said, unless the format says it


@pytest.mark.parametrize("name", ["red.pts", "red.xyzrgb"])
def test_nearly_black_colors_are_no_normals(tmp_path, name: str) -> None:
    red = np.tile([1, 0, 0], (N, 1))
    cloud = read(saved(tmp_path, name, text_of(red)))
    assert list(cloud.attributes) == ["colors"]
    np.testing.assert_array_equal(cloud.attributes["colors"], red)
    assert cloud.attributes["colors"].dtype == (np.uint8 if name == "red.pts" else np.float64)  # 1 of 255, 1 of 1


def test_given_columns(tmp_path) -> None:
    path = saved(tmp_path, "a.txt", text_of(RGB, FRACTION))
    cloud = read(path, columns="x,y,z,_,_,_,gain")
    assert list(cloud.attributes) == ["gain"]
    swapped = read(path, columns="y,x,z,r,g,b,i")
    np.testing.assert_allclose(swapped.positions[:, :2], XYZ[:, 1::-1], rtol=1e-6)
    np.testing.assert_array_equal(swapped.attributes["colors"], RGB)
    for wrong in ("x,y,r,g,b,i,_", "x,y,z,r,r,b,_", "x,y,z,,_,_,_"):
        with pytest.raises(OptionError, match="columns"):
            read(path, columns=wrong)
    with pytest.raises(FileError, match=r"a\.txt.* 4 names"):
        read(path, columns="x,y,z,i")
    write(Cloud(XYZ), tmp_path / "a.ply")
    with pytest.raises(OptionError, match=r"a\.ply.*columns"):
        read(tmp_path / "a.ply", columns="x,y,z")
    out, _ = run("info", path, "--columns", "x,y,z,_,_,_,gain")
    assert "gain" in out


@pytest.mark.parametrize(
    "header",
    ["# SHOT TIME LON LAT ELEV", "//SHOT,TIME,Easting,Northing,Height", "shot;time;x_coord;y_coord;z_coord"],
)
def test_names_say_which_columns_are_coordinates(tmp_path, header: str, caplog) -> None:
    separator = "," if "," in header else ";" if ";" in header else " "
    rows = [separator.join(f"{v:.9g}" for v in (1000 + i, i, *row)) for i, row in enumerate(XYZ)]
    cloud = read(saved(tmp_path, "a.txt", "\n".join([header, *rows])))
    np.testing.assert_array_equal(cloud.positions.astype(np.float32), XYZ)
    assert [name.lower() for name in cloud.attributes] == ["shot", "time"]
    upsample(cloud, 2, model="midpoint")
    assert ("degrees" in caplog.text) == ("LON" in header)


@pytest.mark.parametrize(
    "names",
    ["Points:0,Points:1,Points:2", "Points_m_XYZ:0,Points_m_XYZ:1,Points_m_XYZ:2", "Easting,Northing,Elevation"],
)
def test_names_of_other_programs(tmp_path, names: str) -> None:
    rows = "\n".join(",".join(map(str, row)) for row in XYZ.tolist())
    quoted = ",".join(f'"{name}"' for name in names.split(","))
    np.testing.assert_array_equal(read(saved(tmp_path, "a.csv", f"{quoted}\n{rows}\n")).positions, XYZ)


def rows_of(separator: str, decimal: str = ".", end: str = "") -> str:
    return "".join(separator.join(f"{v:.4f}".replace(".", decimal) for v in row) + end + "\n" for row in XYZ.tolist())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("quoted.csv", '"x","y","z"\n' + "".join(",".join(f'"{v:.4f}"' for v in row) + "\n" for row in XYZ.tolist())),
        ("end.csv", "x,y,z,\n" + rows_of(",", end=",")),
        ("end.txt", rows_of(";", end=";")),
        ("tab.txt", rows_of("\t", ",")),
        ("blank.xyz", rows_of(" ", ",")),
        ("semicolon.csv", "x;y;z\n" + rows_of(";", ",")),
        ("utf16.csv", ("x,y,z\n" + rows_of(",")).encode("utf-16")),
        ("bom.csv", ("x,y,z\n" + rows_of(",")).encode("utf-8-sig")),
        ("mac.txt", rows_of(" ").replace("\n", "\r")),
        ("words.csv", "x,y,z,class\n" + rows_of(",", end=",ground, low")),
    ],
)
def test_dialects(tmp_path, caplog, name: str, content: str | bytes) -> None:
    if name == "words.csv":
        content = str(content).replace("ground, low", '"ground, low"')
    cloud = read(saved(tmp_path, name, content))
    np.testing.assert_allclose(cloud.positions, XYZ, atol=1e-4)
    assert set(cloud.attributes) == ({"labels"} if name == "words.csv" else set())
    assert ("words" in caplog.text) == (name == "words.csv")


def test_missing_values(tmp_path) -> None:
    words = ["", "NA", "null", "-1.#IND", "1.#QNAN", "nan"]
    rows = "".join(f"{x},{y},{z},{words[i] if i < 6 else 0.5}\n" for i, (x, y, z) in enumerate(XYZ.tolist()))
    values = read(saved(tmp_path, "a.csv", "x,y,z,reflectance\n" + rows)).attributes["reflectance"]
    np.testing.assert_array_equal(values, [np.nan] * 6 + [0.5] * (N - 6))


def test_blocks_of_points(tmp_path) -> None:
    cloud = read(saved(tmp_path, "a.pts", "2\n0 0 0\n1 0 0\n3\n0 1 0\n1 1 0\n2 2 0\n"))
    assert cloud.positions[:, :2].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]]
    with pytest.raises(FileError, match=r"a\.pts.* 4 points.* 5"):
        read(saved(tmp_path, "a.pts", "2\n0 0 0\n1 0 0\n3\n0 1 0\n1 1 0\n"))


def test_colmap(tmp_path) -> None:
    head = "# 3D point list\n#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)\n"
    rows = [
        f"{i + 1} {x} {y} {z} {r} {g} {b} 0.5" + " 1 2" * (i % 5)
        for i, ((x, y, z), (r, g, b)) in enumerate(zip(XYZ.tolist(), RGB.tolist(), strict=True))
    ]
    cloud = read(saved(tmp_path, "points3D.txt", head + "\n".join(rows)))
    np.testing.assert_allclose(cloud.positions, XYZ, rtol=1e-6)
    np.testing.assert_array_equal(cloud.attributes["colors"], RGB)


def test_a_grid_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"dem\.asc .*grid"):
        read(saved(tmp_path, "dem.asc", "ncols 3\nnrows 2\nxllcorner 5\nyllcorner 5\ncellsize 1\n1 2 3\n4 5 6\n"))


# -- rows of numbers without a header -------------------------------------------------------------------------------


def test_nuscenes_and_other_rows(tmp_path, caplog) -> None:
    fields = {
        "kitti": (np.float32, [XYZ, FRACTION], ["intensity"]),
        "nuscenes": (np.float32, [XYZ, RNG.integers(0, 255, N), np.arange(N) % 32], ["intensity", "ring"]),
        "sun": (np.float32, [XYZ, RGB / 255], ["colors"]),
        "xyz": (np.float32, [XYZ], []),
        "double": (np.float64, [XYZ + 1e-9], []),
    }
    for name, (kind, columns, attributes) in fields.items():
        folder = tmp_path / name
        folder.mkdir()
        np.column_stack(columns).astype(kind).tofile(folder / "scan.bin")
        cloud = read(folder / "scan.bin")
        np.testing.assert_allclose(cloud.positions, XYZ, atol=1e-6, err_msg=name)
        assert list(cloud.attributes) == attributes
        assert ("--columns" in caplog.text) == (name != "kitti")
        caplog.clear()
    given = read(tmp_path / "nuscenes" / "scan.bin", columns="x,y,z,i,_")
    assert list(given.attributes) == ["intensity"]
    assert len(read(tmp_path / "double" / "scan.bin", columns="x,y,z", dtype="float64")) == N
    with pytest.raises(FileError, match=r"scan\.bin.* 20 bytes"):
        read(tmp_path / "xyz" / "scan.bin", columns="x,y,z,i,ring")


def test_bytes_that_are_no_scan(tmp_path) -> None:
    record = struct.Struct("<Q3d3BdQ")
    colmap = struct.pack("<Q", N) + b"".join(
        record.pack(i, *map(float, XYZ[i]), *map(int, RGB[i]), 0.5, 0) for i in range(N)
    )
    (tmp_path / "a").mkdir()
    for content in (colmap + bytes(-len(colmap) % 16), bytes(range(256)) * 3, np.arange(96, dtype="<u4").tobytes()):
        with pytest.raises(FileError, match=r"scan\.bin"):
            read(saved(tmp_path / "a", "scan.bin", content))
    (tmp_path / "b").mkdir()
    saved(tmp_path / "b", "model.gltf", '{"buffers": [{"uri": "model.bin", "byteLength": 192}]}')
    with pytest.raises(FileError, match=r"model\.bin .*model\.gltf"):
        read(saved(tmp_path / "b", "model.bin", np.abs(XYZ[:16]).tobytes()))


def test_the_other_files_of_a_folder_decide(tmp_path) -> None:
    """40 rows of 16 bytes are 32 of 20; with columns alike, the sizes of the other scans tell them apart."""
    scan = np.random.default_rng(0).uniform(0, 50, (40, 4)).astype("<f4")
    scan.tofile(tmp_path / "0.bin")
    for count in (41, 43, 47):
        scan[:1].repeat(count, axis=0).tofile(tmp_path / f"{count}.bin")
    assert len(read(tmp_path / "0.bin")) == 40


# -- arrays, PCD, PLY, meshes ---------------------------------------------------------------------------------------


def test_arrays(tmp_path) -> None:
    table = np.zeros(N, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<u2")])
    table["x"], table["y"], table["z"] = XYZ.T
    np.save(tmp_path / "structured.npy", table)
    np.save(tmp_path / "batch.npy", XYZ[None])
    np.savez(tmp_path / "coords.npz", coords=XYZ, rgb=RGB)
    for name in ("structured.npy", "batch.npy", "coords.npz"):
        np.testing.assert_array_equal(read(tmp_path / name).positions, XYZ)
    assert "intensity" in read(tmp_path / "structured.npy").attributes
    np.testing.assert_array_equal(read(tmp_path / "coords.npz").attributes["colors"], RGB)
    for array, hint in ((XYZ.T, "transposed"), (np.stack([XYZ, XYZ]), "2 clouds")):
        np.save(tmp_path / "wrong.npy", array)
        with pytest.raises(FileError, match=rf"wrong\.npy.*{hint}"):
            read(tmp_path / "wrong.npy")
    np.lib.format.write_array_header_1_0(
        (tmp_path / "huge.npy").open("wb"), {"shape": (10**12, 3), "fortran_order": False, "descr": "<f8"}
    )
    with pytest.raises(FileError, match=r"huge\.npy is truncated"):
        read(tmp_path / "huge.npy")


def test_fields_of_pcd(tmp_path) -> None:
    head = "VERSION .7\nFIELDS X Y Z descriptor\nSIZE 4 4 4 4\nTYPE f f F f\nCOUNT 1 1 1 5\n"
    head += f"WIDTH {N}\nHEIGHT 1\nPOINTS {N}\nDATA ascii\n"
    values = RNG.random((N, 5)).astype(np.float32)
    path = saved(tmp_path, "a.pcd", head + text_of(values))
    run("sample", path, "-x", 2, "-o", tmp_path / "b.pcd")
    written = (tmp_path / "b.pcd").read_bytes()[:400].decode("latin-1")
    assert "FIELDS x y z descriptor\n" in written
    assert "COUNT 1 1 1 5\n" in written
    assert np.isin(read(tmp_path / "b.pcd").attributes["descriptor"], values).all()


def test_lists_and_types_of_ply(tmp_path, caplog) -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    corners = ["0 0 0", "1 0 0", "0 1 0", "1 1 0"]
    lists = ["1 7", "2 7 8", "0", "1 9"]
    body = "\n".join(f"{a} {b}" for a, b in zip(corners, lists, strict=True))
    path = saved(tmp_path, "view.ply", head + "property list uchar uint view\nend_header\n" + body + "\n")
    assert len(read(path)) == 4
    assert "view" in caplog.text
    body = "\n".join(f"{a} {i % 2}" for i, a in enumerate(corners))
    flags = read(saved(tmp_path, "bool.ply", head + "property bool ground\nend_header\n" + body + "\n"))
    assert flags.attributes["ground"].tolist() == [0, 1, 0, 1]
    strips = head + "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    _, triangles = read_mesh(saved(tmp_path, "strips.ply", strips + "\n".join(corners) + "\n7 0 1 2 3 -1 2 1\n"))
    assert triangles.tolist() == [[0, 1, 2], [2, 1, 3]]  # the second one is turned around; the rest is no triangle


def test_normals_and_colors_of_obj_and_off(tmp_path) -> None:
    lines = [f"v {x} {y} {z}  # a comment" for x, y, z in XYZ.tolist()] + ["vn 0 0.6 0.8"] * N
    np.testing.assert_array_equal(read(saved(tmp_path, "a.obj", "\n".join(lines))).attributes["normals"], UP)
    faces = saved(tmp_path, "b.obj", "\n".join([*lines[:3], "f 1 2 3 # the only one"]))
    assert read_mesh(faces)[1].tolist() == [[0, 1, 2]]
    rows = [" ".join(map(str, [*p, *c, 255])) for p, c in zip(XYZ.tolist(), RGB.tolist(), strict=True)]
    colored = read(saved(tmp_path, "a.off", "\n".join([f"COFF\n{N} 0 0", *rows])))
    np.testing.assert_array_equal(colored.attributes["colors"], RGB)
    free = saved(tmp_path, "b.off", "OFF 4 2 0 0 0 0 1 0 0 0 1 0\n1 1 0 3 0 1 2 3\n1 2 3")
    assert read_mesh(free)[1].tolist() == [[0, 1, 2], [1, 2, 3]]


def test_points_of_gltf_are_in_the_frame_of_the_scene(tmp_path) -> None:
    import json

    body = XYZ.tobytes() + RGB.astype(np.uint8).tobytes()
    nodes = [{"children": [1], "translation": [1, 2, 3]}, {"mesh": 0, "scale": [2, 2, 2], "rotation": [0, 0, 1, 0]}]
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "mode": 0}]}],
        "buffers": [{"byteLength": len(body), "uri": "points%20of.bin"}],
        "bufferViews": [
            {"buffer": 0, "byteLength": 12 * N},
            {"buffer": 0, "byteOffset": 12 * N, "byteLength": 3 * N},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": N, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5121, "normalized": True, "count": N, "type": "VEC3"},
        ],
    }
    saved(tmp_path, "points of.bin", body)
    cloud = read(saved(tmp_path, "a.gltf", json.dumps(document)))
    np.testing.assert_allclose(cloud.positions, XYZ * [-2, -2, 2] + [1, 2, 3], atol=1e-5)  # half a turn about z
    np.testing.assert_array_equal(cloud.attributes["colors"], RGB)
    document["accessors"][0]["count"] = 10**9
    with pytest.raises(FileError, match=r"a\.gltf"):
        read(saved(tmp_path, "a.gltf", json.dumps(document)))


# -- points that are no numbers, whole numbers, names ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npy", ".npz", ".csv", ".xyz"])
def test_points_that_are_not_finite_are_counted_and_left_out(tmp_path, suffix: str) -> None:
    holes = XYZ.astype(np.float64)
    holes[[3, 9]] = np.nan
    holes[11, 1] = np.inf
    path = tmp_path / f"a{suffix}"
    write(Cloud(holes), path)
    assert describe(path)["invalid_points"] == 3
    _, said = run("upsample", path, "-x", 2, "-m", "midpoint", "-o", tmp_path / f"b{suffix}")
    assert said.count("3 of 48 points") == 1
    assert len(read(tmp_path / f"b{suffix}", strict=True)) == 90
    for command in (["upsample", path, "-x", 2], ["info", path]):
        _, said = run(*command, "--strict", code=1)
        assert path.name in said


def test_whole_numbers_are_codes_in_any_type(tmp_path) -> None:
    ids = RNG.choice([12.0, 45.0, np.nan], N)
    attributes = {"treeID": ids, "codes": np.column_stack([ids, FRACTION]), "intensity": np.arange(N) * 10.0}
    got = upsample(Cloud(XYZ, attributes), 4, model="midpoint").attributes
    assert set(got["treeID"][np.isfinite(got["treeID"])]) == {12, 45}
    assert set(got["codes"][np.isfinite(got["codes"][:, 0]), 0]) == {12, 45}
    assert not np.isin(got["codes"][N:, 1], FRACTION).any()  # a column that is not whole is interpolated
    assert not np.isin(got["intensity"][N:], attributes["intensity"]).all()  # a measurement


@pytest.mark.parametrize("suffix", [".pcd", ".csv", ".ply", ".las", ".txt", ".npz"])
def test_names_that_a_format_cannot_hold(tmp_path, suffix: str) -> None:
    names = ["a#b", "c,d", "e f", "1e5", "_", "x", "Red", "g;h\"i'", "tab\tnew\nline\x1b[31m", "häufig", "(m)"]
    write(Cloud(XYZ, {name: np.full(N, i + 0.5) for i, name in enumerate(names)}), tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}").attributes
    assert sorted(values[0] for values in back.values()) == [i + 0.5 for i in range(len(names))]


def test_too_many_columns_are_refused(tmp_path) -> None:
    wide = Cloud(XYZ, {"deep": np.zeros((N, 9000), np.float32)})
    for suffix in (".ply", ".pcd", ".csv", ".las"):
        with pytest.raises(FileError, match=rf"a\{suffix}.*9,000"):
            write(wide, tmp_path / f"a{suffix}")
    write(wide, tmp_path / "a.npz")
    assert read(tmp_path / "a.npz").attributes["deep"].shape == (N, 9000)
    head = "".join(f"property float p{i}\n" for i in range(9000))
    with pytest.raises(FileError, match="columns"):
        read(saved(tmp_path, "b.ply", f"ply\nformat ascii 1.0\nelement vertex 1\n{head}end_header\n"))


def test_measured_points_that_move_are_counted(caplog) -> None:
    flat = np.column_stack([RNG.uniform(0, 1, (600, 2)), RNG.normal(0, 0.012, 600)])
    caplog.set_level(logging.WARNING)
    moved = np.linalg.norm(upsample(flat, 2, model="jet")[:600] - flat, axis=1)
    assert f"{(moved > 0).sum()} of its 600 points" in caplog.text
    assert f"{moved.max():.3g}" in caplog.text
    caplog.clear()
    for options in ({"keep_input": True}, {"keep_input": False}):  # asked for
        upsample(flat, 2, model="jet", **options)
    assert not caplog.text
    las = Cloud(flat, metadata={"las": {}})
    np.testing.assert_array_equal(upsample(las, 2, model="jet").positions[:600], flat)


def test_once_as_many_points_are_the_points() -> None:
    noisy = RNG.normal(size=(200, 3))
    np.testing.assert_array_equal(upsample(noisy, 1), noisy)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".las", ".xyzrgb", ".pts", ".csv"])
def test_a_single_color_channel_is_an_attribute(tmp_path, suffix: str) -> None:
    cloud = read(saved(tmp_path, "red.csv", "x,y,z,red\n0,0,0,5.5\n1,0,0,6.5\n0,1,0,7.5\n"))
    assert list(cloud.attributes) == ["red"]
    if suffix == ".xyzrgb":
        with pytest.raises(FileError, match="no colors"):
            write(cloud, tmp_path / f"a{suffix}")
        return
    write(cloud, tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}").attributes
    assert [values.tolist() for values in back.values()] == ([] if suffix == ".pts" else [[5.5, 6.5, 7.5]])
