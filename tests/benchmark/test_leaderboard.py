"""The leaderboard: which rows it has, the published ones beside them, and its numbers by a second evaluator."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_run import run
from scipy.spatial.distance import cdist

import pcsr_zoo
from pcsr_zoo.benchmark.leaderboard import COLUMNS, as_csv, leaderboard, parameters_of, published_of, rows_of_runs
from pcsr_zoo.errors import OptionError
from pcsr_zoo.models.ear.paper import PUBLISHED as EAR
from pcsr_zoo.models.pu_gan.paper import PUBLISHED as PU_GAN

ROOT = Path(__file__).resolve().parents[2]
DATA = os.environ.get("PCSR_DATA")


def result(task: str, **rows: float) -> dict:
    models = {
        name: {"cd": cd, "hd": 10 * cd, "p2f": 1.5, "seconds": 2.0, "seeds": 3, "shapes": 27, "p2f_shapes": 21}
        for name, cd in rows.items()
    }
    return {"convention": "pugan-2019", "seed": 5, "command": "pcsr benchmark", "tasks": {task: {"models": models}}}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(page: str, task: str) -> list[list[str]]:
    section = page.partition(f"\n## {task}\n")[2].partition("\n## ")[0]
    return [cells(line) for line in section.splitlines() if line.startswith("|")][2:]


def test_later_results_replace_earlier_ones_and_those_of_cards():
    rows = rows_of_runs([result("up4", jetnet=9.0, ear=3.0), result("up4", ear=0.001)])
    up4 = [row for row in rows if row["task"] == "up4"]
    assert [row["cd"] for row in up4] == sorted(row["cd"] for row in up4)
    assert up4[0]["model"] == "ear"
    assert up4[-1] == {
        **{"model": "jetnet", "task": "up4", "seed": 5, "seeds": 3, "convention": "pugan-2019"},
        **{"cd": 9.0, "hd": 90.0, "p2f": 1.5, "seconds": 2.0, "parameters": parameters_of("jetnet")},
    }
    assert len({(row["task"], row["model"]) for row in rows}) == len(rows)


def test_parameters_are_those_of_the_weights():
    network = pcsr_zoo.load("jetnet").model.network
    assert parameters_of("jetnet") == sum(parameter.numel() for parameter in network.parameters())
    assert parameters_of("fps+jetnet") == parameters_of("jetnet")
    assert parameters_of("jet") == parameters_of("floor") == parameters_of("no/such/folder") == 0


def test_published_rows_stand_beside_their_methods():
    assert published_of("ear", "up4-random") == EAR["up4-random"]
    assert published_of("pu-gan", "pcsr4") == PU_GAN["pcsr4"]
    assert published_of("fps+pu-gan", "pcsr4") is None
    assert published_of("pointlie-geo-x4", "pcsr4") is None  # another method than that of its paper
    page = leaderboard(rows_of_runs([result("up4-random", **{"ear": 0.7, "pu-gan": 0.3})]))
    rows = {row[0]: row[1:] for row in table(page, "up4-random")}
    paper = EAR["up4-random"]
    assert rows["`ear`"][:6] == [
        "**0.700**",
        "7.00",
        "1.50",
        f"*{paper.cd:.2f}*",
        f"*{paper.hd:.2f}*",
        f"*{paper.p2f:.2f}*",
    ]
    assert rows["`pu-gan`"][0] == "0.300"  # .28 published: not more than a fifth behind
    assert "*EAR*" not in rows
    assert rows["*PU-Net*"][:4] == ["", "", "", "*0.72*"]  # not measured here


def test_other_conventions_are_not_on_the_page():
    plain = {**result("up4", ear=0.5), "convention": "plain"}
    rows = rows_of_runs([plain])
    assert any(row["convention"] == "plain" for row in rows)
    assert "`ear`" not in leaderboard(rows)
    with pytest.raises(OptionError):
        leaderboard([row for row in rows if row["convention"] == "plain"])


def test_the_csv_has_every_row():
    rows = rows_of_runs([result("up4-random", ear=0.7)])
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert tuple(read[0]) == COLUMNS
    assert len(read) == len(rows)
    for row, text in zip(rows, read, strict=True):
        assert text["model"] == row["model"]
        assert float(text["cd"]) == pytest.approx(row["cd"], rel=1e-5)
        assert text["seconds"] == "" if row["seconds"] is None else float(text["seconds"]) > 0


def test_the_command(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(result("up4-random", ear=0.7)))
    page, table_file = tmp_path / "page.md", tmp_path / "rows.csv"
    run("benchmark", "--leaderboard", page, "--results", tmp_path / "run.json", "--csv", table_file)
    assert "**0.700**" in page.read_text()
    assert "ear,up4-random,5,3,pugan-2019,0.7,7," in table_file.read_text()


@pytest.mark.parametrize(
    ("words", "named", "code"),
    [
        (["--leaderboard", "page.md", "--task", "up4"], "--task", 2),
        (["--csv", "rows.csv", "--data", "x", "--task", "up4", "-m", "jet"], "--csv", 2),
        (["--task", "up4", "-m", "jet"], "--data", 2),
        (["--leaderboard", "page.md", "--results", "missing.json"], "missing.json", 1),
    ],
)
def test_wrong_options_are_named(words, named, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, errors = run("benchmark", *words, code=code)
    assert named in errors
    assert list(tmp_path.iterdir()) == []


# -- a second evaluator -----------------------------------------------------------------------------------------------


def stored(model: str, task: str) -> dict[str, str]:
    rows = list(csv.DictReader((ROOT / "docs" / "results.csv").read_text(encoding="utf-8").splitlines()))
    return next(row for row in rows if (row["model"], row["task"]) == (model, task))


def unit(points: np.ndarray) -> np.ndarray:
    points = points - points.mean(axis=0)
    return points / np.sqrt((points**2).sum(axis=1).max())


def chamfer_and_hausdorff(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """By all distances, in the convention of PU-GAN's evaluation: each cloud in its own unit sphere, squares, sums."""
    squares = cdist(unit(a), unit(b), "sqeuclidean")
    there, back = squares.min(axis=1), squares.min(axis=0)
    return float(there.mean() + back.mean()), float(there.max() + back.max())


def distance_to_triangles(point: np.ndarray, corners: np.ndarray) -> float:
    """The smallest distance of a point to triangles (T, 3, 3): to their planes inside, else to their sides."""
    a, b, c = corners.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    length = np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    height = ((point - a) * normal / length).sum(axis=1)
    foot = point - height[:, None] * normal / length
    inside = np.ones(len(a), bool)
    best = np.full(len(a), np.inf)
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(q - p, foot - p) * normal).sum(axis=1) >= 0
        side = q - p
        t = np.clip(((point - p) * side).sum(axis=1) / np.maximum((side**2).sum(axis=1), 1e-300), 0, 1)
        best = np.minimum(best, np.linalg.norm(point - p - t[:, None] * side, axis=1))
    return float(np.where(inside, np.abs(height), best).min())


def read_off(path: Path) -> np.ndarray:
    words = path.read_text().split()
    start = 1 if words[0] == "OFF" else 0
    vertices, faces = int(words[start]), int(words[start + 1])
    numbers = np.array(words[start + 3 :], dtype=float)
    points = numbers[: 3 * vertices].reshape(-1, 3)
    return points[numbers[3 * vertices : 3 * vertices + 4 * faces].reshape(-1, 4)[:, 1:].astype(int)]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="PCSR_DATA is not set")
@pytest.mark.parametrize("model", ["midpoint", "jet"])
def test_rows_of_the_csv_by_a_second_evaluator(model):
    """All 27 shapes, read, scaled and compared by code of this test; P2F on every 64th point."""
    row, base = stored(model, "pcsr4"), Path(DATA) / "pugan"
    found, off = [], []
    for path in sorted((base / "gt_8192").glob("*.xyz")):
        truth = np.loadtxt(path)[:, :3]
        loaded = pcsr_zoo.load(model)
        made = np.asarray(loaded.recover(pcsr_zoo.load("fps").sample(truth, n=2048, seed=0), n=8192, seed=0))
        found.append(chamfer_and_hausdorff(made, truth))
        mesh = base / "mesh" / f"{path.stem}.off"
        if mesh.is_file():
            corners = read_off(mesh)
            off += [distance_to_triangles(point, corners) for point in made[::64]]
    cd, hd = 1000 * np.mean(found, axis=0)
    assert len(found) == 27
    assert cd == pytest.approx(float(row["cd"]), rel=0.02)
    assert hd == pytest.approx(float(row["hd"]), rel=0.05)
    assert 1000 * np.mean(off) == pytest.approx(float(row["p2f"]), rel=0.15)
