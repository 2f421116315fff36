"""Mesh files against Open3D; points sampled from a surface against the surface itself."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.io import MESH_SUFFIXES, read, read_mesh, write, write_mesh
from pcsr_zoo.io.mesh import sample_mesh
from pcsr_zoo.io.trimesh import Mesh, fan_triangles

TETRAHEDRON = "0 0 0\n1 0 0\n0 1 0\n0 0 1\n"
PLY_WITHOUT_FACES = """ply
format ascii 1.0
element vertex 2
property float x
property float y
property float z
element face 0
property list uchar int vertex_indices
end_header
1 2 3
4 5 6
"""
FACES = "3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"


def sphere(resolution: int = 20):
    return import_open3d().geometry.TriangleMesh.create_sphere(1.0, resolution)


def glb() -> bytes:
    """One triangle, made from the glTF 2.0 specification (Open3D writes .glb files that it cannot read)."""
    body = struct.pack("<9f3I", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            },
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "buffers": [{"byteLength": 48}],
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".off", ".stl", ".gltf"])
def test_reads_what_open3d_writes(tmp_path, suffix: str) -> None:
    mesh = sphere()
    mesh.compute_vertex_normals()
    mesh.compute_triangle_normals()
    assert import_open3d().io.write_triangle_mesh(str(tmp_path / f"a{suffix}"), mesh)
    vertices, triangles = read_mesh(tmp_path / f"a{suffix}")
    assert vertices.dtype == np.float64
    assert triangles.dtype == np.int64
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.triangles)]
    np.testing.assert_allclose(vertices[triangles], corners, atol=1e-5)


def test_glb(tmp_path) -> None:
    (tmp_path / "a.glb").write_bytes(glb())
    vertices, triangles = read_mesh(tmp_path / "a.glb")
    assert vertices[triangles[0]].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "OFF\n4 4 0\n" + TETRAHEDRON + FACES,
        "OFF4 4 0\n" + TETRAHEDRON + FACES,
        "OFF 4 4 6\n" + TETRAHEDRON + FACES,
        "4 4 0\n" + TETRAHEDRON + FACES,
        "OFF\r\n# comment\r\n\r\n4 4\r\n" + (TETRAHEDRON + FACES).replace("\n", " # x\r\n"),
        "COFF\n4 4 0\n" + TETRAHEDRON.replace("\n", " 255 0 0 255\n") + FACES.replace("\n", " 1 0 0\n"),
    ],
)
def test_off_first_lines(tmp_path, text: str) -> None:
    (tmp_path / "a.off").write_text(text)
    vertices, triangles = read_mesh(tmp_path / "a.off")
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert triangles.tolist() == [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]


def test_obj_records(tmp_path) -> None:
    (tmp_path / "a.obj").write_text(
        "# c\nmtllib a.mtl\no thing\nv 500000.123456 4000000.654321 1\nv 500001 4000000 1\nvn 0 0 1\nvt 0 0\n"
        "v 500001 4000001 1 \\\n1.0\nv 500000 4000001 1\nusemtl m\ns off\nf 1/1/1 2//1 3 4/1\nf -4 -3 -1\n"
    )
    vertices, triangles = read_mesh(tmp_path / "a.obj")
    assert vertices[0].tolist() == [500000.123456, 4000000.654321, 1]
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 3]]


def test_obj_colors_reach_the_points(tmp_path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0 1 0 0\nv 1 0 0 1 0 0\nv 0 1 0 1 0 0\nf 1 2 3\n")
    assert (read(tmp_path / "a.obj", points=20).attributes["colors"] == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.obj", "v 1 2 3\nv 4 5 6\n"),
        ("a.off", "OFF\n2 0 0\n1 2 3\n4 5 6\n"),
        ("a.ply", PLY_WITHOUT_FACES),
    ],
)  # fmt: skip
def test_vertices_without_faces_are_a_cloud(tmp_path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name).positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(OptionError, match=rf"{name}.*points"):  # those of a mesh's surface
        read(tmp_path / name, points=100)
    with pytest.raises(FileError, match=f"{name} has no faces"):
        read_mesh(tmp_path / name)


@pytest.mark.parametrize("n", [1, 37, 2048, 12_000])
def test_sampling_counts_surface_and_seed(n: int) -> None:
    mesh = sphere(40)
    ours = Mesh(Cloud(np.asarray(mesh.vertices)), np.asarray(mesh.triangles).astype(np.int64))
    cloud = sample_mesh(ours, n, seed=3)
    assert len(cloud) == n
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))
    distances = scene.compute_distance(o3d.core.Tensor(cloud.positions.astype(np.float32))).numpy()
    assert distances.max() < 1e-5
    np.testing.assert_array_equal(sample_mesh(ours, n, seed=3).positions, cloud.positions)
    assert not np.array_equal(sample_mesh(ours, n, seed=4).positions, cloud.positions)
    if n > 1000:  # blue noise: no two points much nearer than they would lie on a hexagonal grid
        nearest = cKDTree(cloud.positions).query(cloud.positions, k=2)[0][:, 1]
        assert nearest.min() > 0.5 * np.sqrt(2 / 3**0.5 * 4 * np.pi / n)


def test_many_points_are_as_even_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above Open3D's share: nearest neighbors, in spacings of a hexagonal grid, against what Open3D gives for fewer.

    Farthest point sampling of as many, which is taken where memory forbids more, is a little less even.
    """
    mesh = sphere(40)
    ours = Mesh(Cloud(np.asarray(mesh.vertices)), np.asarray(mesh.triangles).astype(np.int64))

    def mean(n: int) -> float:
        positions = sample_mesh(ours, n, seed=1).positions
        return float(cKDTree(positions).query(positions, k=2)[0][:, 1].mean() / np.sqrt(2 / 3**0.5 * 4 * np.pi / n))

    few, many = mean(9_000), mean(11_000)
    assert many == pytest.approx(few, rel=0.03)
    monkeypatch.setattr("pcsr_zoo.io.mesh._ELIMINATION_LIMIT", 10_500)
    farthest = mean(11_000)
    assert 0.9 * many < farthest < many


def test_sampling_at_utm_is_sampling_at_the_origin() -> None:
    mesh = sphere()
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles).astype(np.int64)
    here = sample_mesh(Mesh(Cloud(vertices), triangles), 500)
    there = sample_mesh(Mesh(Cloud(vertices + np.array([5e5, 4e6, 0])), triangles), 500)
    np.testing.assert_allclose(there.positions - [5e5, 4e6, 0], here.positions, atol=1e-6)


def test_default_count_and_attributes(tmp_path) -> None:
    mesh = sphere()
    mesh.compute_vertex_normals()
    mesh.paint_uniform_color([1, 0, 0])
    import_open3d().io.write_triangle_mesh(str(tmp_path / "a.ply"), mesh)
    cloud = read(tmp_path / "a.ply")
    assert len(cloud) == 8192
    assert (cloud.attributes["colors"] == [255, 0, 0]).all()
    np.testing.assert_allclose(np.linalg.norm(cloud.attributes["normals"], axis=1), 1, atol=1e-6)
    assert (np.sum(cloud.attributes["normals"] * cloud.positions, axis=1) > 0.95).all()
    assert cloud.metadata["mesh"] == {"vertices": len(mesh.vertices), "triangles": len(mesh.triangles)}
    write(cloud, tmp_path / "b.ply")
    assert len(read(tmp_path / "b.ply")) == 8192  # a cloud now


def test_fans() -> None:
    assert fan_triangles([np.arange(5), np.arange(2), np.arange(5, 8)]).tolist() == [
        [0, 1, 2], [0, 2, 3], [0, 3, 4], [5, 6, 7],
    ]  # fmt: skip
    assert fan_triangles(np.array([[0, 1, 2, 3]])).tolist() == [[0, 1, 2], [0, 2, 3]]
    assert fan_triangles(np.empty((0, 0), int)).shape == (0, 3)
    assert fan_triangles([]).shape == (0, 3)


@pytest.mark.parametrize("points", [0, -5])
def test_points_must_be_positive(tmp_path, points: int) -> None:
    (tmp_path / "a.off").write_text("OFF\n4 4 0\n" + TETRAHEDRON + FACES)
    with pytest.raises(OptionError, match="points"):
        read(tmp_path / "a.off", points=points)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.off", "OFF\n4 4 0\n" + TETRAHEDRON, "truncated"),
        ("a.off", "OFF\nfour 4 0\n", "not an OFF"),
        ("a.off", "hello", "not an OFF"),
        ("a.off", "OFF\n4 4 0\n" + TETRAHEDRON.replace("1 0 0", "1 0") + FACES, "line 4: .*3 numbers"),
        ("a.off", "OFF\n4 4 0\n" + TETRAHEDRON + FACES.replace("1 2 3", "1 2 9"), "line 10: a vertex number"),
        ("a.off", "OFF\n4 4 0\n" + TETRAHEDRON + FACES.replace("3 1 2 3", "4 1 2 3"), "line 10: .*5 numbers"),
        ("a.off", "OFF BINARY\n", "not supported"),
        ("a.off", "4OFF\n4 4 0\n", "not supported"),
        ("a.obj", "v 0 0 0\nv 1 0\n", "line 2"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "vertex 9"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "line 4"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n", "line 4"),
        ("a.obj", "hello\n", "not an OBJ"),
        ("a.stl", "hello\n", "not an STL"),
        ("a.stl", "solid\nhello\n", "no triangles"),
        ("a.glb", "hello\n", "not a glTF"),
        ("a.gltf", "{}", "no triangles"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "no area"),
    ],
)
def test_broken_meshes(tmp_path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FileError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_truncated_stl_and_glb(tmp_path) -> None:
    mesh = sphere()
    mesh.compute_triangle_normals()
    import_open3d().io.write_triangle_mesh(str(tmp_path / "a.stl"), mesh)
    for name, whole in (("a.stl", (tmp_path / "a.stl").read_bytes()), ("a.glb", glb())):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FileError, match=name):
            read(tmp_path / name)


def test_a_suffix_that_is_no_mesh(tmp_path) -> None:
    (tmp_path / "a.xyz").write_text("1 2 3\n")
    with pytest.raises(FileError, match=r"'\.xyz' is not a mesh format"):
        read_mesh(tmp_path / "a.xyz")


# -- writing


def utm_mesh() -> Mesh:
    ball = sphere(8)
    rng, vertices = np.random.default_rng(0), np.asarray(ball.vertices)
    attributes = {
        "normals": (vertices / np.linalg.norm(vertices, axis=1, keepdims=True)).astype(np.float32),
        "colors": rng.integers(0, 256, (len(vertices), 3)).astype(np.uint8),
        "labels": rng.integers(0, 9, len(vertices)).astype(np.uint8),
    }
    far = np.round(vertices + np.array([565_200.123, 5_934_800.456, 12]), 4)
    return Mesh(Cloud(far, attributes), np.asarray(ball.triangles).astype(np.int64))


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_meshes_are_what_open3d_reads(suffix, tmp_path, caplog):
    mesh, path = utm_mesh(), tmp_path / f"mesh{suffix}"
    write_mesh(mesh, path)
    found = import_open3d().io.read_triangle_mesh(str(path))
    corners = np.asarray(found.vertices)[np.asarray(found.triangles)]
    wanted = mesh.vertices.positions[mesh.triangles]
    if suffix == ".stl":  # float32, and Open3D drops triangles without area
        assert "float32" in caplog.text
        np.testing.assert_allclose(found.get_center(), mesh.vertices.positions.mean(axis=0), atol=1)
        small = Mesh(Cloud(mesh.vertices.positions - mesh.vertices.positions.mean(axis=0)), mesh.triangles)
        write_mesh(small, path)
        found = import_open3d().io.read_triangle_mesh(str(path))
        corners = np.asarray(found.vertices)[np.asarray(found.triangles)]
        wanted = small.vertices.positions[small.triangles]
        np.testing.assert_allclose(corners, wanted, atol=1e-6)
        return
    np.testing.assert_allclose(
        corners, wanted, rtol=0, atol=1e-4 if suffix == ".ply" else 0.3
    )  # of Open3D's OBJ reader
    for name, values in (
        ("colors", np.asarray(found.vertex_colors) * 255),
        ("normals", np.asarray(found.vertex_normals)),
    ):
        given = mesh.vertices.attributes[name][mesh.triangles]  # corner by corner: its OBJ reader sorts the vertices
        np.testing.assert_allclose(values[np.asarray(found.triangles)], given, atol=1e-3)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_meshes_far_away_come_back_exactly(suffix, tmp_path):
    mesh = utm_mesh()
    write_mesh(mesh, tmp_path / f"mesh{suffix}")
    vertices, triangles = read_mesh(tmp_path / f"mesh{suffix}")
    np.testing.assert_array_equal(vertices, mesh.vertices.positions)
    np.testing.assert_array_equal(triangles, mesh.triangles)


def test_a_mesh_of_an_unknown_format_is_not_written(tmp_path):
    with pytest.raises(FileError, match=r"\.las"):
        write_mesh(utm_mesh(), tmp_path / "mesh.las")
    assert list(tmp_path.iterdir()) == []
