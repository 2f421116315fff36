"""Which meshes are taken, what the training file says, and what the generated shapes are."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from pcsr_zoo.cli import main
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.datasets.build import build
from pcsr_zoo.datasets.generated.shape_solids import SOLIDS
from pcsr_zoo.datasets.generated.shapes import FAMILIES, generate_mesh
from pcsr_zoo.datasets.meshes import find_meshes
from pcsr_zoo.datasets.surface_points import orient
from pcsr_zoo.datasets.training_set import is_held_out
from pcsr_zoo.errors import FileError, OptionError

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
SIDES = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
HEADER = "file,license_class,license,source,vertices,faces\n"


def write_off(path, scale=1.0, shift=(0, 0, 0), sides=SIDES):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"OFF\n6 {len(sides)} 0"]
    rows += [" ".join(map(repr, map(float, vertex * scale + shift))) for vertex in OCTAHEDRON]
    rows += [f"3 {a} {b} {c}" for a, b, c in sides.tolist()]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def table(tmp_path):
    """meshes.csv with two permissive octahedra and one for research."""
    for name in ("a/one", "a/two", "b/one"):
        write_off(tmp_path / "meshes" / f"{name}.off", scale=3.0, shift=(100, 0, 0))
    rows = ["meshes/a/one.off,permissive,MIT,me/a@1,6,8", "meshes/a/two.off,research,GPL,me/a@1,6,8"]
    (tmp_path / "meshes.csv").write_text(HEADER + "\n".join([*rows, "meshes/b/one.off,permissive,CC0,me/b@1,6,8"]))
    return tmp_path / "meshes.csv"


# -- finding


def test_a_table_is_filtered_by_license_class(table):
    meshes = find_meshes([table], ["permissive"])
    assert [(m.name, m.license, m.source) for m in meshes] == [("a/one", "MIT", "me/a@1"), ("b/one", "CC0", "me/b@1")]
    assert len(find_meshes([table])) == 3
    with pytest.raises(OptionError, match=r"permissive, research"):
        find_meshes([table], ["commercial"])


def test_folders_and_files_name_each_mesh_once(table):
    folder = table.parent / "meshes"
    meshes = find_meshes([folder, folder / "a" / "one.off", table])
    assert [m.name for m in meshes] == ["a/one", "a/two", "b/one"]
    assert {m.license_class for m in meshes} == {"unknown"}
    assert [m.name for m in find_meshes([folder / "a" / "one.off", folder / "b" / "one.off"])] == ["one", "one-2"]


@pytest.mark.parametrize("name", ["pugan", "punet", "PUGAN"])
def test_test_sets_are_refused(tmp_path, name):
    mesh = write_off(tmp_path / name / "mesh" / "pig.off")
    (tmp_path / "list.csv").write_text(HEADER + f"{name}/mesh/pig.off,permissive,MIT,x,6,8")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "pig.off").symlink_to(mesh)
    for given in (mesh, tmp_path, tmp_path / "list.csv", tmp_path / "link" / "pig.off"):
        with pytest.raises(FileError, match=f"refused.*'{name}'"):
            find_meshes([given])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "no rows"),
        ("file,license\nx.off,MIT\n", "license_class"),
        (HEADER + "gone.off,permissive,MIT,x,6,8", r"row 2.*gone\.off does not exist"),
        (HEADER + ",permissive,MIT,x,6,8", "row 2.*'file'"),
    ],
)
def test_broken_tables_say_what_is_wrong(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FileError, match=message):
        find_meshes([tmp_path / "t.csv"])


def test_what_is_not_there_or_no_mesh(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for given in ("gone", "notes.txt", "."):
        with pytest.raises(FileError):
            find_meshes([tmp_path / given])


# -- the file


def test_the_file_holds_points_normals_and_provenance(table, tmp_path):
    turned = write_off(tmp_path / "inside" / "out.off", sides=SIDES[:, ::-1])
    report = build([table, turned], tmp_path / "t.npz", points=500, generated=0, held_out=0.0)
    assert (report.train, report.held_out, report.skipped) == (4, 0, {})
    data = TrainingSet.load(tmp_path / "t.npz")
    assert [s.name for s in data.shapes] == ["a/one", "a/two", "b/one", "out"]
    first = data.shapes[0]
    assert (first.license, first.license_class, first.source) == ("MIT", "permissive", "me/a@1")
    assert (first.vertices, first.faces, first.normals) == (6, 8, "outward")
    for index in range(4):
        points, normals = data.points(index).astype(float), data.normals(index).astype(float)
        center, radius = data.frames[index, :3], data.frames[index, 3]
        assert points.dtype == np.float64
        assert points.shape == normals.shape == (500, 3)
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=2e-5)
        assert np.abs(points.mean(axis=0)).max() < 2e-5
        raw = points * radius + center  # in the mesh's own frame: |x| + |y| + |z| = size
        size, middle = (3.0, [100, 0, 0]) if index < 3 else (1.0, [0, 0, 0])
        assert np.abs(raw - middle).sum(axis=1) == pytest.approx(size, abs=4e-5 * size)
        assert data.shapes[index].area * radius**2 == pytest.approx(8 * np.sqrt(3) / 2 * size**2)
        inner = np.abs(raw - middle).min(axis=1) > 0.01 * size
        assert np.sum(np.sign(raw - middle) * normals, axis=1)[inner] == pytest.approx(np.sqrt(3), abs=1e-3)


def test_numpy_alone_can_read_it_without_pickle(table, tmp_path):
    build([table], tmp_path / "t.npz", points=64)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    about = json.loads(bytes(arrays["about"]))
    assert about["format"] == "pcsr-train-1"
    assert len(about["shapes"]) == 3
    whole = arrays["coarse"].astype(np.int64) * 4 + (arrays["fine"][..., None] >> np.array([0, 2, 4]) & 3)
    points = arrays["boxes"][:, :1] + whole * arrays["boxes"][:, 1:] / (2**18 - 1)
    assert points[1] == pytest.approx(TrainingSet.load(tmp_path / "t.npz").points(1), abs=1e-6)


def test_the_same_arguments_give_the_same_arrays(table, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build([table], tmp_path / f"{name}.npz", points=100, seed=seed)
    a, b, c = (TrainingSet.load(tmp_path / f"{name}.npz").points(0) for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_split_is_by_name_and_by_share():
    names = [f"shape-{k}" for k in range(2000)]
    tenth, third = ({n for n in names if is_held_out(n, f)} for f in (0.1, 0.3))
    assert tenth < third  # a larger share only adds
    assert 150 < len(tenth) < 250
    assert 530 < len(third) < 670
    assert not any(is_held_out(n, 0.0) for n in names)


@pytest.mark.parametrize(("options", "expected"), [({}, 1), ({"held_out": 0.001}, 1), ({"held_out": 0.0}, 0)])
def test_of_a_few_shapes_one_is_held_out(tmp_path, options, expected):
    report = build([], tmp_path / "t.npz", generated=4, points=64, **options)
    assert (report.train, report.held_out) == (4 - expected, expected)
    assert len(TrainingSet.load(tmp_path / "t.npz").held_out) == expected


def test_a_bad_mesh_is_skipped_and_named(table, tmp_path):
    (tmp_path / "bad.off").write_text("OFF\n3 1 0\n0 0 0\n0 0 0\n0 0 0\n3 0 1 2\n")
    report = build([table, tmp_path / "bad.off"], tmp_path / "t.npz", points=64, held_out=0)
    assert report.train == 3
    assert list(report.skipped) == [str(tmp_path / "bad.off")]
    with pytest.raises(FileError, match=r"none of 1.*triangle"):
        build([tmp_path / "bad.off"], tmp_path / "u.npz")
    assert not (tmp_path / "u.npz").exists()


@pytest.mark.parametrize(
    "options", [{"points": 3}, {"generated": -1}, {"seed": -1}, {"held_out": 1.0}, {"output": "t.txt"}, {"meshes": []}]
)
def test_options_that_make_no_sense(table, tmp_path, options):
    options = {"meshes": [table], "output": "t.npz", **options}
    output = tmp_path / options.pop("output")
    with pytest.raises(OptionError):
        build(options.pop("meshes"), output, **options)


def test_other_files_are_not_taken_for_training_files(tmp_path):
    np.savez(tmp_path / "x.npz", positions=np.zeros((3, 3)))
    with pytest.raises(FileError, match="not a training file"):
        TrainingSet.load(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(b"PK nonsense")
    with pytest.raises(FileError, match=r"y\.npz"):
        TrainingSet.load(tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": "pcsr-training-9", "shapes": [{"new": 1}]}, "has the format pcsr-training-9"), ({"points": 63}, "63")],
)
def test_files_of_other_versions_and_broken_ones_are_named(table, tmp_path, change, message):
    build([table], tmp_path / "t.npz", points=64)
    with np.load(tmp_path / "t.npz") as archive:
        arrays = dict(archive)
    about = {**json.loads(bytes(arrays["about"])), **change}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(FileError, match=rf"other\.npz.*{message}"):
        TrainingSet.load(tmp_path / "other.npz")


def test_the_command(table, tmp_path):
    arguments = ["data", "build", str(table), "-o", str(tmp_path / "t.npz"), "--points", "64", "--held-out", "0"]
    result = CliRunner().invoke(main, [*arguments, "--license-class", "permissive", "--generated", "1"])
    assert result.exit_code == 0, result.output
    assert re.search(r"\b3 shapes\b.*\b0\b", result.output)
    data = TrainingSet.load(tmp_path / "t.npz")
    assert [s.license_class for s in data.shapes] == ["permissive"] * 3
    assert data.shapes[2].name == "generated/blob-0-0"
    assert data.shapes[2].normals == "outward"
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


# -- generated shapes


@pytest.mark.parametrize("family", ["perforated_plate", "superquadric", "terrain", "half_shell", "leaf"])
def test_generated_shapes_are_fixed_by_seed_and_index(family):
    index = FAMILIES.index(family)
    vertices, triangles, name = generate_mesh(5, index)
    again = generate_mesh(5, index)
    other = generate_mesh(5, index + len(FAMILIES))
    assert name == f"generated/{family}-5-{index}" == again[2]
    assert np.array_equal(vertices, again[0])
    assert np.array_equal(triangles, again[1])
    assert vertices.shape != other[0].shape or not np.allclose(vertices, other[0])
    assert np.isfinite(vertices).all()
    assert 0.3 < np.linalg.norm(vertices, axis=1).max() < 2.5
    edges = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    uses = np.unique(edges, axis=0, return_counts=True)[1]
    if family in SOLIDS:  # every edge between an even number of triangles: no borders; and the outside is outside
        assert (uses % 2 == 0).all()
        a, b, c = (vertices[triangles[:, k]] for k in range(3))
        assert np.sum(a * np.cross(b, c)) > 0
    else:
        assert (uses == 1).any()
        assert uses.max() == 2
        assert orient(vertices, triangles)[1] == "consistent"


def test_negative_numbers_are_refused():
    with pytest.raises(OptionError):
        generate_mesh(0, -1)
