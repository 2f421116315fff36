"""Small files of all formats, and broken copies of them: `python mutations.py FOLDER SEED FIRST COUNT` tries some.

Each case is one line of JSON on standard output, before and after the commands run, so that a case that ends the
process, or never ends, is known.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pcsr_zoo import Cloud, write
from pcsr_zoo.io import split_name
from pcsr_zoo.io.gltf import _BIN, _JSON

N = 40
WORDS = (
    b"99999999999999999999",
    b"-1",
    b"nan",
    b"1e400",
    b"0",
    b"4294967295",
    b"\x1b[31m",
    b"\xe2\x80\xae",
    b"#",
    b",",
)
WRITTEN = (".ply", ".pcd", ".las", ".laz", ".csv", ".npz", ".npy", ".e57", ".bin", ".txt", ".xyz.gz")
INTEGERS = (0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 30)


def base_files(folder: Path) -> list[Path]:
    """Write 35 files, and return their paths in a fixed order."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (N, 3)).round(3)
    colors = rng.integers(0, 256, (N, 3), dtype=np.uint8)
    normals = points / np.linalg.norm(points, axis=1, keepdims=True)
    labels = rng.integers(0, 5, N, dtype=np.int32)
    cloud = Cloud(points, {"colors": colors, "normals": normals, "labels": labels, "gain": rng.random(N)})
    faces = rng.integers(0, N, (20, 3))
    for name in ("a.ply", "a.pcd", "a.las", "a.laz", "a.csv", "a.txt", "a.npz", "a.xyzrgb", "a.pts", "a.xyz", "a.npy"):
        write(cloud, folder / name)
    write(Cloud(points, {"intensity": rng.random(N)}), folder / "a.bin")
    _ply(folder, points, faces)
    _pcd(folder, points)
    _las(folder, points)
    lines = [f"v {x} {y} {z}" for x, y, z in points]
    triangles = [" ".join(str(i + 1) for i in face) for face in faces]
    (folder / "mesh.obj").write_text("\n".join(lines + [f"f {face}" for face in triangles]) + "\n")
    rows = [f"vn {x} {y} {z}" for x, y, z in normals]
    (folder / "cloud.obj").write_text("\n".join(lines + rows) + "\n")
    body = [" ".join(map(str, row)) for row in points] + ["3 " + " ".join(map(str, face)) for face in faces]
    (folder / "mesh.off").write_text("\n".join([f"OFF\n{N} 20 0", *body]) + "\n")
    stl = b"".join(struct.pack("<12fH", 0, 0, 1, *points[face].ravel(), 0) for face in faces)
    (folder / "mesh.stl").write_bytes(bytes(80) + struct.pack("<I", 20) + stl)
    for name, mode in (("mesh.glb", 4), ("points.glb", 0)):
        (folder / name).write_bytes(_glb(points, faces, mode))
    document, packed = _gltf(points, faces, 0)
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(packed).decode()
    (folder / "points.gltf").write_text(json.dumps(document))
    for name in ("a.e57", "points3D.bin", "points3D.txt", "a.xyz.gz"):
        write(cloud, folder / name)
    tracks = "".join(f"{i + 1} {x} {y} {z} 1 2 3 0.5 7 {i} 8 {i}\n" for i, (x, y, z) in enumerate(points))
    (folder / "points3D_tracks.txt").write_text(tracks)
    scan = "4\n10\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n5 6 7 1\n"
    rows = "".join(f"{x} {y} {z} 0.5 1 2 3\n" for x, y, z in points)
    (folder / "a.ptx").write_text(2 * (scan + rows))
    fields = np.zeros(N, [("X", "f8"), ("Y", "f8"), ("Z", "f8"), ("Ring", "u2"), ("Name", "S4")])
    fields["X"], fields["Y"], fields["Z"] = points.T
    np.save(folder / "fields.npy", fields)
    header = "E;N;H;Code\n" + "".join(f"{x};{y};{z};tree\n".replace(".", ",") for x, y, z in points)
    (folder / "german.csv").write_bytes(header.encode("utf-16"))
    (folder / "words.csv").write_text("".join(f'{x};{y};{z};"tree"\n' for x, y, z in points))
    return sorted(path for path in folder.iterdir() if path.is_file())


def _ply(folder: Path, points: np.ndarray, faces: np.ndarray) -> None:
    def head(encoding: str, element: str, count: int) -> bytes:
        lines = ["ply", f"format {encoding} 1.0", "comment a scan", f"element vertex {N}"]
        lines += [f"property float {axis}" for axis in "xyz"]
        lines += [f"element {element} {count}", "property list uchar int vertex_indices", "end_header\n"]
        return "\n".join(lines).encode()

    rows = "".join(" ".join(map(str, row)) + "\n" for row in points)
    rows += "".join("3 " + " ".join(map(str, face)) + "\n" for face in faces)
    (folder / "ascii.ply").write_bytes(head("ascii", "face", len(faces)) + rows.encode())
    packed = points.astype(">f4").tobytes() + b"".join(b"\3" + face.astype(">i4").tobytes() for face in faces)
    (folder / "big.ply").write_bytes(head("binary_big_endian", "face", len(faces)) + packed)
    strip = struct.pack("<B8i", 8, *range(8))
    (folder / "strips.ply").write_bytes(
        head("binary_little_endian", "tristrips", 1) + points.astype("<f4").tobytes() + strip
    )


def _pcd(folder: Path, points: np.ndarray) -> None:
    head = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z f\nSIZE 4 4 4 2\nTYPE F F F U\nCOUNT 1 1 1 3\n"
    head += f"WIDTH {N}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {N}\n"
    rows = "".join(" ".join(map(str, [*row, 1, 2, 3])) + "\n" for row in points)
    (folder / "ascii.pcd").write_text(head + "DATA ascii\n" + rows)
    plain = points.astype("<f4").T.tobytes() + bytes(6 * N)
    packed = b"".join(
        bytes([len(plain[at : at + 32]) - 1]) + plain[at : at + 32] for at in range(0, len(plain), 32)
    )  # literal runs are valid LZF
    sizes = struct.pack("<II", len(packed), len(plain))
    (folder / "packed.pcd").write_bytes((head + "DATA binary_compressed\n").encode() + sizes + packed)


def _las(folder: Path, points: np.ndarray) -> None:
    import laspy

    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [0.001] * 3, [0] * 3
    header.add_extra_dims([laspy.ExtraBytesParams("pulse width", "f4"), laspy.ExtraBytesParams("id", "u8")])
    las = laspy.LasData(header)
    las.x, las.y, las.z = points.T
    las.intensity = np.arange(N)
    las["pulse width"] = np.arange(N) / 7
    for suffix in ("las", "laz"):
        las.write(str(folder / f"extra.{suffix}"))


def _gltf(points: np.ndarray, faces: np.ndarray, mode: int) -> tuple[dict[str, Any], bytes]:
    """A document, and the bytes of its buffer."""
    body = points.astype("<f4").tobytes() + faces.astype("<u2").tobytes()
    primitive = {"attributes": {"POSITION": 0}, "mode": mode, **({"indices": 1} if mode == 4 else {})}
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": len(body)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 12 * N},
            {"buffer": 0, "byteOffset": 12 * N, "byteLength": 6 * len(faces)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": N, "type": "VEC3", "min": low, "max": high},
            {"bufferView": 1, "componentType": 5123, "count": 3 * len(faces), "type": "SCALAR"},
        ],
    }
    return document, body


def _glb(points: np.ndarray, faces: np.ndarray, mode: int) -> bytes:
    document, body = _gltf(points, faces, mode)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(body), _BIN) + body
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy with one to three random changes, most of them near the start, where headers are."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            break
        reach = len(data) if rng.random() < 0.4 else min(len(data), 400)
        at, kind = int(rng.integers(reach)), int(rng.integers(7))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + 4] = struct.pack("<I", INTEGERS[int(rng.integers(len(INTEGERS)))])
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 200))]
        elif kind == 5:
            data[at:at] = WORDS[int(rng.integers(len(WORDS)))]
        else:
            words = bytes(data[at : at + 60]).split()
            if len(words) > 1:
                place = data.find(words[1], at)
                data[place : place + len(words[1])] = WORDS[int(rng.integers(len(WORDS)))]
    return bytes(data)


def faults(path: Path, out: Path) -> list[str]:
    """What is wrong with how `pcsr info` and `pcsr upsample` end for a file."""
    from pcsr_zoo.cli import main

    found = []
    for command in (["info", str(path)], ["upsample", str(path), "-x", "2", "-m", "midpoint", "-o", str(out)]):
        said, start, status = io.StringIO(), time.process_time(), 0
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                main(command)
        except SystemExit as end:
            status = end.code
        except BaseException as error:  # a traceback
            found.append(f"{command[0]}: {type(error).__name__}: {error}")
        text = said.getvalue()
        if status not in (0, 1):
            found.append(f"{command[0]}: status {status}: {text[-200:]}")
        if "This is a bug" in text or "Traceback" in text or "RuntimeWarning" in text:
            found.append(f"{command[0]}: {text[-300:]}")
        if not all(mark.isprintable() or mark in "\n\t" for mark in text):
            found.append(f"{command[0]}: raw control characters: {text[-300:]!a}")
        # of this process: the machine may be busy with others
        if (seconds := time.process_time() - start) > 10:
            found.append(f"{command[0]}: {seconds:.0f} s")
        if status == 0 and command[0] == "upsample":
            from pcsr_zoo import read

            try:
                read(out)
            except Exception as error:
                found.append(f"the output cannot be read again: {error}")
    for left in out.parent.iterdir():
        left.unlink()
    return found


def run(folder: Path, seed: int, first: int, count: int) -> None:
    """Try cases `first` to `first + count` of a seed."""
    import torch  # noqa: F401 - its import is not part of a case

    base = base_files(Path(_made(folder / f"base{first}")))
    scratch, results = Path(_made(folder / f"in{first}")), Path(_made(folder / f"out{first}"))
    for number in range(first, first + count):
        source = base[number % len(base)]
        stem, suffix = split_name(source)
        path = scratch / f"{stem}_{number}{suffix}"
        path.write_bytes(mutated(source.read_bytes(), np.random.default_rng([seed, number])))
        print(json.dumps({"case": number, "of": source.name}), flush=True)  # for a case that ends the process
        suffix = suffix if suffix in WRITTEN else ".ply"
        print(json.dumps({"case": number, "faults": faults(path, results / f"{stem}_o{suffix}")}), flush=True)
        path.unlink()


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


if __name__ == "__main__":
    run(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
