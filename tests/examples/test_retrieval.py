"""examples/retrieval.py: the loader, the loss and the recalls against their definitions, and all of it in small."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pcsr_zoo.errors import FileError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module("retrieval")
        for name in ("retrieval", "places", "pointnetvlad", "street"):
            sys.modules.pop(name, None)


def make_run(folder: Path, kind: str, rows: list[tuple[int, float, float]], seed: int) -> np.ndarray:
    """A run of the benchmark's layout, written here by hand; returns its submaps."""
    rng = np.random.default_rng(seed)
    clouds = rng.uniform(-1, 1, (len(rows), 4096, 3))
    (folder / f"pointcloud_{kind}").mkdir(parents=True)
    for (stamp, *_), cloud in zip(rows, clouds, strict=True):
        (folder / f"pointcloud_{kind}" / f"{stamp}.bin").write_bytes(cloud.astype("<f8").tobytes())
    lines = ["timestamp,northing,easting", *(f"{stamp},{north},{east}" for stamp, north, east in rows)]
    (folder / f"pointcloud_locations_{kind}.csv").write_text("\n".join(lines) + "\n")
    return clouds


ROWS = [
    (1400505893170765, 5735712.5, 620084.5),
    (1400505894395159, 5735700.25, 620099.0),
    (1400505899, 5735000.0, 620084.5),
]


def test_runs_are_read_as_the_benchmark_stores_them(example, tmp_path):
    first = make_run(tmp_path / "2014-05-19-13-20-57", "20m", ROWS, 0)
    second = make_run(tmp_path / "2014-06-26-09-24-58", "20m", ROWS[:1], 1)
    found = example.places.load_places(tmp_path, "20m")
    assert [path.stem for path in found.files] == [str(row[0]) for row in [*ROWS, ROWS[0]]]
    np.testing.assert_array_equal(found.where, [row[1:] for row in [*ROWS, ROWS[0]]])
    assert found.run.tolist() == [0, 0, 0, 1]
    assert found.tested.tolist() == [True, True, False, True]  # the third is 700 m from the nearest test region
    np.testing.assert_array_equal(found.clouds(), np.concatenate([first, second]).astype(np.float32))
    few = found.clouds(100)
    assert set(map(tuple, few[3].tolist())) <= set(map(tuple, second[0].astype(np.float32).tolist()))
    assert len(np.unique(few[3], axis=0)) == 100


def test_of_the_whole_benchmark_only_complete_runs_are_tested(example, tmp_path):
    for number in range(45):
        make_run(tmp_path / f"run{number:02d}", "20m", [], 0)
    make = tmp_path / "run00" / "pointcloud_locations_20m.csv"
    make.write_text("timestamp,northing,easting\n1,2,3\n")  # of an incomplete run: not looked for
    assert example.places.load_places(tmp_path, "20m").files == []
    (tmp_path / "run44").rename(tmp_path.parent / "elsewhere")
    with pytest.raises(FileError, match="run00"):
        example.places.load_places(tmp_path, "20m")


def test_broken_runs_are_named(example, tmp_path):
    with pytest.raises(FileError, match=tmp_path.name):
        example.places.load_places(tmp_path, "20m")
    make_run(tmp_path / "run", "20m", ROWS, 0)
    submap = tmp_path / "run" / "pointcloud_20m" / f"{ROWS[1][0]}.bin"
    submap.write_bytes(submap.read_bytes()[:-8])
    with pytest.raises(FileError, match=submap.name):
        example.places.load_places(tmp_path, "20m").clouds()
    submap.unlink()
    with pytest.raises(FileError, match=submap.name):
        example.places.load_places(tmp_path, "20m")
    table = tmp_path / "run" / "pointcloud_locations_20m.csv"
    table.write_text("timestamp,northing,easting\n1,north,3\n")
    with pytest.raises(FileError, match="line 2"):
        example.places.load_places(tmp_path, "20m")


def test_the_network_has_the_published_sizes_and_unit_descriptors(example):
    network = example.PointNetVLAD().eval()
    assert network.vlad.centers.shape == (64, 1024)
    cloud = torch.rand(3, 40, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, shuffled = network(cloud), network(cloud[:, torch.randperm(40)])
    assert found.shape == (3, 256)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(shuffled, found, atol=1e-4, rtol=0)


def test_netvlad_by_its_sums(example):
    from pointnetvlad import NetVLAD

    layer = NetVLAD(5, 3).eval()
    features = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = layer(features).view(2, 3, 5)
        scores = features @ layer.assign.weight.T / np.sqrt(1 + layer.norm.eps)
        for b, k in np.ndindex(2, 3):
            share = scores[b].softmax(dim=1)[:, k]
            total = sum(share[n] * (features[b, n] - layer.centers[k]) for n in range(7))
            torch.testing.assert_close(found[b, k], total / total.norm() / np.sqrt(3))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_by_its_definition(example, seed):
    generator = torch.Generator().manual_seed(seed)
    query, other = torch.randn(2, 4, 6, generator=generator) / 3
    positives, negatives = (torch.randn(4, n, 6, generator=generator) / 3 for n in (2, 5))
    known = torch.rand(4, 5, generator=generator) > 0.3
    total = 0.0
    for b in range(4):
        d = [float(((query[b] - p) ** 2).sum()) for p in positives[b]]
        first = [0.5 + min(d) - float(((query[b] - n) ** 2).sum()) for n in negatives[b][known[b]]]
        second = [0.2 + min(d) - float(((other[b] - n) ** 2).sum()) for n in negatives[b][known[b]]]
        total += max([0.0, *first]) + max([0.0, *second])
    found = example.lazy_quadruplet_loss(query, positives, negatives, other, known)
    assert float(found) == pytest.approx(total / 4, rel=1e-5)


def test_recalls_by_hand(example):
    """Two runs past three places, 100 m apart; the descriptors of the second run mix up two of them."""
    where = np.array([[0.0, 0], [100, 0], [200, 0], [5, 0], [105, 0], [205, 0]])
    found = np.array([[0.0], [1], [2], [0.1], [2.1], [2.2]])
    run, tested = np.repeat([0, 1], 3), np.ones(6, bool)
    # queries of run 1 in run 0: right, wrong (2.1 is nearest to 2), right; of run 0 in run 1: right, right
    # (1 is nearer to .1 than to 2.1, so wrong), wrong (2 is nearest to 2.1): 1 of 3
    assert example.recalls(found, run, where, tested)[0] == pytest.approx(100 * (2 / 3 + 1 / 3) / 2)
    assert example.recalls(found, run, where, np.array([0, 0, 0, 1, 0, 0], bool)) == (100, 100)
    many = np.concatenate([where[:3], np.stack([np.arange(297) * 1000.0 + 9000, np.zeros(297)], axis=1), where[3:]])
    far = np.concatenate([found[:3], np.full((297, 1), 99.0), found[3:]])
    run = np.repeat([0, 1], [300, 3])
    tested = run == 1
    one, percent = example.recalls(far, run, many, tested)  # 1 % of 300 are three
    assert (one, percent) == (pytest.approx(200 / 3), 100)


def test_batches_have_positives_within_ten_meters(example):
    where = np.array([[0.0, 0], [8, 0], [100, 0], [109, 0], [500, 0]])
    for rows, positives in example.batches(where, 20, 3, seed=0):
        assert len(set(rows.tolist())) == 3
        assert 4 not in rows  # it has no positive
        for row, positive in zip(rows, positives, strict=True):
            assert row != positive
            assert np.linalg.norm(where[row] - where[positive]) <= 10


def test_simulated_places_stay_and_differ_from_run_to_run(example, tmp_path, monkeypatch):
    monkeypatch.setattr(example.places, "SHOTS", 90)
    example.places.simulate(tmp_path, streets=2)
    learned, judged = (
        example.places.load_places(tmp_path, kind, ((1000.0, 0.0),)) for kind in ("20m_10overlap", "20m")
    )
    assert (len(learned.files), len(judged.files)) == (40, 40)
    np.testing.assert_array_equal(judged.tested, judged.where[:, 0] == 1000)
    clouds = learned.clouds()
    assert np.abs(clouds).max() <= 1
    np.testing.assert_allclose(clouds.mean(axis=1), 0, atol=1e-6)
    assert (np.ptp(clouds, axis=1)[:, 2] > 0.1).all()  # the houses

    def away(a: int, b: int) -> float:
        return float(np.mean([np.linalg.norm(clouds[b] - point, axis=1).min() for point in clouds[a][::64]]))

    same = [away(k, 20 + k) for k in range(10)]  # the same stop in the other run
    others = [away(a, 20 + b) for a, b in itertools.product(range(10), range(10, 20))][::7]
    assert np.mean(same) < 0.8 * np.mean(others)


@pytest.mark.slow
def test_all_of_it_in_small(example, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(example.places, "SHOTS", 60)
    example.main(["--quick", "-m", "midpoint", "--places", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "\n| 64 | " in printed
    assert "\n| 128, x2 by midpoint | " in printed
    with pytest.raises(SystemExit, match="nowhere"):
        example.main(["--oxford", str(tmp_path / "nowhere")])
