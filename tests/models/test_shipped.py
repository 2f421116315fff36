"""The weights of the package: each by its name does what its card says, on a cloud that nobody trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "helpers"))  # where pytest does not do it

from model_contract import torus_cloud, unmatched
from scans import room
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo import Cloud, load, recover, sample
from pcsr_zoo.catalog import resolve
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.checkpoints.shipped import bundled
from pcsr_zoo.models.base import ScanLineUpsampler
from pcsr_zoo.models.registry import families

pytest.importorskip("torch")

NAMES = sorted(bundled())
DENSE = torus_cloud(2048) @ np.array([[0.8, 0.6, 0.0], [-0.48, 0.64, 0.6], [0.36, -0.48, 0.8]]).T  # any pose
RECOVERERS = [name for name in NAMES if "sample" in resolve(name).tasks]


def is_of_scans(name: str) -> bool:
    return issubclass(resolve(name).model_class, ScanLineUpsampler)


UPSAMPLERS = [name for name in NAMES if "upsample" in resolve(name).tasks and not is_of_scans(name)]


def off_the_torus(points: np.ndarray) -> float:
    """Mean distance to the exact surface."""
    points = points @ np.array([[0.8, 0.6, 0.0], [-0.48, 0.64, 0.6], [0.36, -0.48, 0.8]])
    ring = np.hypot(np.hypot(points[:, 0], points[:, 1]) - 1, points[:, 2])
    return float(np.abs(ring - 0.4).mean())


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    return float((cKDTree(a).query(b)[0] ** 2).mean() + (cKDTree(b).query(a)[0] ** 2).mean())


def test_the_names():
    wanted = {f"pointlie{kind}-x{ratio}" for kind in ("", "-geo") for ratio in (4, 8, 16)}
    wanted |= {"jetnet", "scan-net", "sspu-geo-x4"}
    assert wanted <= set(NAMES)
    assert wanted <= set(pcsr_zoo.list_models())
    assert set(pcsr_zoo.list_models("pointlie-x*")) == {f"pointlie-x{ratio}" for ratio in (4, 8, 16)}


@pytest.mark.parametrize("name", RECOVERERS)
def test_a_small_file_is_made_dense_again(name, tmp_path):
    ratio = read_config(bundled()[name])["arguments"]["ratio"]
    model = load(name)
    few = sample(Cloud(DENSE), model=name)
    assert len(few) == 2048 // ratio
    pcsr_zoo.write(few, tmp_path / "few.ply")
    again = recover(str(tmp_path / "few.ply"))  # the file remembers the model and the amount
    assert len(again) == 2048
    in_memory = model.recover(model.sample(Cloud(DENSE)))
    np.testing.assert_allclose(again.positions, in_memory.positions, atol=1e-6)
    # nearer to the cloud than the samples are, and near the surface by the measure of the samples' spacing
    assert chamfer(again.positions, DENSE) < 0.6 * chamfer(few.positions, DENSE)
    spacing = (15.8 / len(few)) ** 0.5
    assert off_the_torus(again.positions) < 0.12 * spacing


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_a_sparse_cloud_is_made_dense(name):
    sparse = DENSE[:512] if name != "pointlie-x16" else DENSE[:128]  # DENSE is in the order of farthest points
    ratio = 2048 // len(sparse)
    dense = load(name).upsample(sparse, ratio)
    assert dense.shape == (2048, 3)
    spacing = (15.8 / len(sparse)) ** 0.5
    assert off_the_torus(dense) < 0.12 * spacing
    assert chamfer(dense, DENSE) < 0.6 * chamfer(sparse, DENSE)


# -- snapshots: a change of behavior is seen ------------------------------------------------------------------------

SNAPSHOTS = Path(__file__).with_name("snapshots.npz")
INPUT = torus_cloud(300, seed=5)


def snapshot(name: str) -> dict[str, np.ndarray]:
    """What a model makes of a fixed cloud, by verb."""
    model, found = load(name), {}
    for task in model.tasks:
        n = 60 if task == "sample" else 900
        cloud = room()[0][::2] if is_of_scans(name) else INPUT
        n = 2 * len(cloud) if is_of_scans(name) else n
        made = getattr(model, task)(cloud, None, n=n, seed=1)
        found[f"{name} {task}"] = (made.positions if isinstance(made, Cloud) else made).astype(np.float32)
    return found


def test_every_model_has_a_snapshot():
    expected = {f"{name} {task}" for name in pcsr_zoo_models() for task in resolve(name).tasks}
    with np.load(SNAPSHOTS) as stored:
        assert set(stored.files) == expected, "python3 dev.py generate adds what is missing"


def pcsr_zoo_models() -> list[str]:
    """The models of this package that need no weights, or have them."""
    classes = [cls.name for found in families().values() for cls in found]
    return [name for name in dict.fromkeys([*classes, *NAMES]) if not resolve(name, paths=False).untrained]


@pytest.mark.parametrize("name", pcsr_zoo_models())
def test_the_output_is_that_of_the_snapshot(name):
    """To single precision where the arithmetic is the same; else all but a few near ties."""
    with np.load(SNAPSHOTS) as stored:
        for key, found in snapshot(name).items():
            assert key in stored, "python3 dev.py generate adds what is missing"
            assert found.shape == stored[key].shape
            assert unmatched(found, stored[key], 1e-4) <= 0.02, f"{key} changed; on purpose? python {__file__} {name}"


def write_snapshots(again: list[str]) -> None:
    """Add the snapshots that are missing, make those of named models again, and drop those of models that are gone."""
    kept: dict[str, np.ndarray] = dict(np.load(SNAPSHOTS)) if SNAPSHOTS.exists() else {}
    found: dict[str, np.ndarray] = {}
    for name in pcsr_zoo_models():
        keys = [f"{name} {task}" for task in resolve(name).tasks]
        known = name not in again and all(key in kept for key in keys)
        found |= {key: kept[key] for key in keys} if known else snapshot(name)
    if found.keys() != kept.keys() or again:
        np.savez_compressed(SNAPSHOTS, **found)


if __name__ == "__main__":
    write_snapshots(sys.argv[1:])
