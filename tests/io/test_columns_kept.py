"""Files as people have them come back with their columns: names, order, words, delimiters; PTX, gzip, streams."""

from __future__ import annotations

import gzip
import io
import sys

import numpy as np
import pytest

from pcsr_zoo import read, upsample, write
from pcsr_zoo.errors import FileError

RNG = np.random.default_rng(0)


def saved(folder, name: str, content: str | bytes):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TABLES = {
    "semicolons.csv": "ID;Rechtswert;Hochwert;Höhe;Code\n1;512345,12;5400000,5;312,25;Baum, groß\n2;512346;540;3;Weg\n",
    "units.csv": "Easting [m],Northing [m],Elev [m],Class\n1.5,2.5,3.5,ground\n2,3,4,tree\n",
    "tabs.txt": "x\ty\tz\tname\n1.5\t2.5\t3.5\tLow veg\n2\t3\t4\t\n",
    "colors.xyz": "1 2 3 10 20 30\n2 3 4 255 6 7\n",
    "comment.asc": "# Y X Z R G B depth\n1 2 3 10 20 30 0.5\n2 3 4 255 6 7 0.25\n",
    "paraview.csv": "Points_0,Points_1,Points_2,t\n1,2,3,0.5\n2,3,4,0.25\n",
    "meters.txt": "# x_m y_m z_m\n1.5 2 3\n2 3 4\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_as_it_was(tmp_path, name: str) -> None:
    cloud = read(saved(tmp_path, name, TABLES[name]))
    assert len(cloud) == 2
    write(cloud, tmp_path / f"again_{name}")
    before, after = (cells(text) for text in (TABLES[name], (tmp_path / f"again_{name}").read_text(encoding="utf-8")))
    assert before == after


def cells(text: str) -> list[list[object]]:
    """The cells of a table, numbers as such: 2 and 2.0 are the same."""
    mark = next(mark for mark in (";", "\t", ",", " ") if mark in text)
    rows = [line.split(mark) for line in text.splitlines()]
    return [[float(c.replace(",", ".")) if c[:1].isdigit() else c for c in row] for row in rows]


def test_words_are_labels_and_are_written_as_words(tmp_path) -> None:
    rows = "".join(
        f"{x:.3f};{y:.3f};{z:.3f};{'wall' if x > 0 else 'low, veg'}\n" for x, y, z in RNG.normal(size=(60, 3))
    )
    cloud = read(saved(tmp_path, "a.csv", "x;y;z;class\n" + rows))
    assert cloud.attributes["labels"].dtype == np.int32
    dense = upsample(cloud, 2, model="midpoint", keep_input=True)
    write(dense, tmp_path / "b.csv", like=cloud)
    words = [line.split(";")[3] for line in (tmp_path / "b.csv").read_text().splitlines()]
    assert words[0] == "class"
    assert set(words[1:]) == {"wall", "low, veg"}
    assert words[1:61] == ["wall" if x > 0 else "low, veg" for x in cloud.positions[:, 0]]
    write(dense, tmp_path / "b.ply", like=cloud)
    assert set(read(tmp_path / "b.ply").attributes["labels"].tolist()) == {0, 1}


def test_the_header_says_the_separator(tmp_path) -> None:
    cloud = read(saved(tmp_path, "a.csv", "x,y,z,note\n1,2,3,'; drop\n4,5,6,=1;2\n"))
    write(cloud, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().splitlines()[2] == "4,5,6,=1;2"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-8-sig"])
def test_encodings(tmp_path, encoding: str) -> None:
    cloud = read(saved(tmp_path, "a.csv", "x,y,höhe,größe\n1,2,3,4\n5,6,7,8\n".encode(encoding)))
    assert cloud.positions.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert list(cloud.attributes) == ["größe"]


def test_structured_arrays_keep_their_fields(tmp_path) -> None:
    """As PDAL's: its fields in their order and dtypes."""
    fields = [("X", "<f8"), ("Y", "<f8"), ("Z", "<f8"), ("Intensity", "<u2"), ("Red", "<u2"), ("Green", "<u2")]
    array = np.zeros(50, [*fields, ("Blue", "<u2"), ("Classification", "u1"), ("GpsTime", "<f8")])
    for name in array.dtype.names or ():
        array[name] = RNG.integers(0, 200, 50) if array.dtype[name].kind == "u" else RNG.normal(size=50)
    np.save(tmp_path / "a.npy", array)
    cloud = read(tmp_path / "a.npy")
    assert set(cloud.attributes) == {"intensity", "colors", "labels", "GpsTime"}
    write(upsample(cloud, 2, model="midpoint", keep_input=True), tmp_path / "b.npy", like=cloud)
    for back in (np.load(tmp_path / "b.npy"), upsample(array, 2, model="midpoint", keep_input=True)):
        assert back.dtype == array.dtype
        assert len(back) == 100
        np.testing.assert_array_equal(back[:50], array)


@pytest.mark.parametrize("key", ["points", "xyz", "pc"])
def test_batches_of_one_in_npz(tmp_path, caplog, key: str) -> None:
    points, colors = RNG.random((1, 40, 3)), RNG.random((1, 40, 3))
    np.savez(tmp_path / "a.npz", **{key: points, "rgb": colors, "camera": np.eye(4)})
    cloud = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(cloud.positions, points[0])
    np.testing.assert_array_equal(cloud.attributes["colors"], colors[0])
    assert "camera" in caplog.text


@pytest.mark.parametrize("names", [("ring",), ("elongation", "time")])
def test_bin_files_keep_their_layout(tmp_path, names) -> None:
    table = RNG.uniform(-40, 40, (600, 4 + len(names))).astype("<f4")
    table = table[np.argsort(table[:, 0])]
    table[:, 3] = RNG.random(600) * 200
    table[:, 4] = RNG.integers(0, 32, 600) if names == ("ring",) else RNG.random(600)
    if len(names) == 2:
        table[:, 5] = 0
    path = tmp_path / ("a.pcd.bin" if names == ("ring",) else "a.bin")
    table.tofile(path)
    cloud = read(path)
    assert set(cloud.attributes) == {"intensity", *names}
    write(cloud, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == path.read_bytes()


PTX = "{}\n{}\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n{}"
TURNED = "0 1 0 0\n-1 0 0 0\n0 0 1 0\n500000 4000000 5 1\n"
STRAIGHT = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def test_ptx(tmp_path) -> None:
    text = PTX.format(2, 2, STRAIGHT) + "1 2 3 0.5 9 8 7\n2 2 3 0.25 1 2 3\n0 0 0 0.5 0 0 0\n4 2 3 0.125 255 0 0\n"
    text += PTX.format(1, 2, TURNED) + "1 0 0 0.5 9 8 7\n0 2 1 0.5 9 8 7\n"
    cloud = read(saved(tmp_path, "a.ptx", text))
    expected = [[1, 2, 3], [2, 2, 3], [4, 2, 3], [5e5, 4e6 + 1, 5], [5e5 - 2, 4e6, 6]]
    np.testing.assert_array_equal(cloud.positions, expected)
    assert cloud.attributes["colors"][2].tolist() == [255, 0, 0]
    assert cloud.attributes["intensity"].tolist() == [0.5, 0.25, 0.125, 0.5, 0.5]
    assert cloud.attributes["row"].tolist() == [0, 1, 1, 0, 1]
    assert cloud.attributes["column"].tolist() == [0, 0, 1, 0, 0]
    assert cloud.attributes["scan"].tolist() == [0, 0, 0, 1, 1]
    lines = text.splitlines()
    for broken in (lines[:-1], [*lines[:3], "1 2", *lines[4:]], ["99999999", *lines[1:]], ["x", *lines[1:]], lines[2:]):
        with pytest.raises(FileError, match=r"b\.ptx"):
            read(saved(tmp_path, "b.ptx", "\n".join(broken) + "\n"))


@pytest.mark.parametrize("suffix", [".xyz", ".csv", ".ply", ".las"])
def test_gzip(tmp_path, suffix: str) -> None:
    cloud = read(saved(tmp_path, "a.xyz", "1 2 3\n4 5 6\n7 8 10\n"))
    write(cloud, tmp_path / f"b{suffix}.gz")
    (tmp_path / f"c{suffix}").write_bytes(gzip.decompress((tmp_path / f"b{suffix}.gz").read_bytes()))
    for name in (f"b{suffix}.gz", f"c{suffix}"):
        np.testing.assert_array_equal(read(tmp_path / name).positions, cloud.positions)


def test_broken_gzip_is_named(tmp_path) -> None:
    whole = gzip.compress(b"1 2 3\n" * 1000)
    bomb = gzip.compress(bytes(300 << 20), 1)
    for data in (b"1 2 3\n", whole[:-9], whole[:20], gzip.compress(b""), gzip.compress(b"1 2 x\n"), bomb):
        with pytest.raises(FileError, match=r"a\.xyz\.gz") as caught:
            read(saved(tmp_path, "a.xyz.gz", data))
        assert "/pcsr-" not in str(caught.value)


@pytest.mark.parametrize("name", ["-", "-.ply"])
def test_standard_input_and_output(tmp_path, monkeypatch, name: str) -> None:
    source = read(saved(tmp_path, "a.csv", "x,y,z,label\n1,2,3,4\n5,6,7,8\n"))
    write(source, tmp_path / "a.ply")
    stdin, stdout = io.BytesIO((tmp_path / "a.ply").read_bytes()), io.BytesIO()
    monkeypatch.setattr(sys, "stdin", type("Stream", (), {"buffer": stdin}))
    monkeypatch.setattr(sys, "stdout", type("Stream", (), {"buffer": stdout}))
    cloud = read(name)
    write(cloud, "-.ply")
    assert stdout.getvalue() == (tmp_path / "a.ply").read_bytes()
    assert cloud.attributes["labels"].tolist() == [4, 8]


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02\x03", b"ply\nformat", b"words only\n"])
def test_wrong_standard_input(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", type("Stream", (), {"buffer": io.BytesIO(data)}))
    with pytest.raises(FileError, match="standard input"):
        read("-")
