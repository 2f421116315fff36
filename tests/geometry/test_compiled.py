"""Compiled inner loops against the NumPy and torch code that they replace, and without numba."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pcsr_zoo import load
from pcsr_zoo.geometry import compiled, edges, repulsion
from pcsr_zoo.geometry.jets import fit_jets
from pcsr_zoo.geometry.patches import fit_patches
from pcsr_zoo.models.base import ignore
from pcsr_zoo.models.jetnet import network, surface
from pcsr_zoo.models.jetnet.candidates import on_edges

KERNELS = compiled.kernels()
pytestmark = pytest.mark.skipif(KERNELS is None, reason="numba is not installed")
RNG = np.random.default_rng(5)
CLOUD = RNG.normal(size=(900, 3))
CLOUD /= np.linalg.norm(CLOUD, axis=1, keepdims=True)
CLOUD *= [1.0, 0.7, 0.4]


def both_ways(monkeypatch, work):
    """The results of `work` with and without compiled code."""
    found = []
    for size in (0, 10**9):
        monkeypatch.setattr(compiled, "LARGE", size)
        found.append(work())
    return found


def test_edges_and_their_ranks(monkeypatch) -> None:
    score = RNG.integers(0, 5, 100_000) / 4  # with ties

    def work():
        found = edges.neighbor_edges(CLOUD, 12, emptiness=0.6)
        return found, edges.rank_at_ends(found, score[: len(found)], len(CLOUD))

    fast, slow = both_ways(monkeypatch, work)
    np.testing.assert_array_equal(fast[0], slow[0])
    np.testing.assert_array_equal(fast[1], slow[1])


def test_repulsion(monkeypatch) -> None:
    points = np.concatenate([CLOUD, CLOUD[:5]])
    neighbors = repulsion.pushing_neighbors(points)
    fast, slow = both_ways(monkeypatch, lambda: repulsion.repulsion(points, neighbors, slice(300, None)))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_jets(rounds, kind) -> None:
    _, index = cKDTree(CLOUD).query(CLOUD, 11)
    near = CLOUD[index[:, 1:]] - CLOUD[:, None]
    near /= np.linalg.norm(near, axis=2).max(axis=1)[:, None, None]
    fast = fit_jets(kind(near), rounds=rounds, compiled=True)
    slow = fit_jets(near, rounds=rounds)
    zero = np.zeros((len(near), 3))
    np.testing.assert_allclose(np.asarray(fast.project(kind(zero))), slow.project(zero), atol=1e-9)
    np.testing.assert_allclose(np.asarray(fast.misfit), slow.misfit, atol=1e-12)
    np.testing.assert_allclose(np.asarray(fast.weights), slow.weights, atol=1e-9)
    turned = np.asarray(fast.axes)
    np.testing.assert_allclose(turned.swapaxes(1, 2) @ turned, np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)


def test_jets_of_degenerate_neighborhoods() -> None:
    line = np.linspace(-1, 1, 10)[:, None] * [[0.6, 0.8, 0.0]]
    for near in (np.zeros((1, 10, 3)), line[None], np.ones((1, 1, 3))):
        jets = fit_jets(near, compiled=True)
        assert np.isfinite(jets.project(np.zeros((1, 3)))).all()


def test_silu() -> None:
    x = torch.cat([torch.linspace(-100, 100, 4800), torch.randn(4800)]).view(-1, 48)
    found = x.clone()
    compiled.kernels(network.KERNELS).silu(found.numpy())
    torch.testing.assert_close(found, torch.nn.functional.silu(x), rtol=1e-6, atol=1e-6)


def test_the_network_of_jetnet(monkeypatch) -> None:
    model = load("jetnet").model
    patches = fit_patches(CLOUD)

    def encode():
        with torch.inference_mode():
            return model.network.encode(patches, torch.zeros(len(CLOUD)))

    fast, slow = both_ways(monkeypatch, encode)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)

    def move():
        on = surface.LearnedSurface(model.network, CLOUD, 0.0, "cpu", ignore)
        positions, ends = on_edges(on.points, on.near)
        return on.move(positions, ends), on.nearest(positions, ends)[0], on.one_sidedness(positions, ends)

    (moved, distance, beside), slow = both_ways(monkeypatch, move)
    np.testing.assert_allclose(moved, slow[0], atol=1e-6)
    np.testing.assert_allclose(distance, slow[1], atol=1e-12)
    np.testing.assert_allclose(beside, slow[2], atol=1e-9)


def test_everything_works_without_numba(monkeypatch, tmp_path) -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np; from pcsr_zoo import sample, upsample; from pcsr_zoo.geometry.compiled import kernels\n"
        "assert kernels() is None\n"
        "p = np.random.default_rng(0).uniform(size=(40_000, 3))\n"
        "assert len(sample(p, n=500, model='fps')) == 500\n"
        "assert len(upsample(p[:13_000] * [1, 1, 0.01], n=13_500, model='jet')) == 13_500\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_machine_code_is_kept_where_the_user_says(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    twice = compiled.compiled(_twice)
    assert twice(4) == 8
    assert list(tmp_path.rglob("*_twice*.nbi"))
    monkeypatch.setattr(compiled, "_cache", lambda: "/dev/null/no-folder")
    assert compiled.compiled(_twice)(4) == 8


def _twice(x):
    return 2 * x
