"""Even results of uneven clouds."""

import numpy as np
import pytest
from click.testing import CliRunner
from scans import room
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo import Cloud
from pcsr_zoo.cli import main
from pcsr_zoo.errors import OptionError
from pcsr_zoo.io import read, write


@pytest.fixture
def ball() -> Cloud:
    """600 random points of the unit sphere, three times as dense in one half."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = points[(points[:, 0] > 0) | (rng.random(len(points)) < 1 / 3)][:600]
    return Cloud(points, {"labels": (points[:, 2] > 0).astype(np.int32)})


def unevenness(points: np.ndarray) -> float:
    """The standard deviation of the distances to the nearest neighbor, relative to their mean."""
    distance = cKDTree(points).query(points, 2)[0][:, 1]
    return float(distance.std() / distance.mean())


@pytest.mark.parametrize("model", ["midpoint", "jet", "jetnet"])
def test_the_result_is_evenly_spaced(ball, model) -> None:
    even = pcsr_zoo.upsample(ball, 4, model=model, even=True)
    plain = pcsr_zoo.upsample(ball, 4, model=model)
    assert len(even) == 4 * len(ball)
    assert unevenness(even.positions) < 0.5 * unevenness(plain.positions)
    side = even.positions[:, 0] > 0
    assert 0.4 < side.mean() < 0.6  # as the area, not as the input
    np.testing.assert_array_equal(
        even.attributes["labels"][np.abs(even.positions[:, 2]) > 0.3] > 0,
        even.positions[np.abs(even.positions[:, 2]) > 0.3, 2] > 0,
    )


def test_an_even_result_keeps_no_input() -> None:
    with pytest.raises(OptionError, match="keep_input"):
        pcsr_zoo.upsample(np.random.default_rng(0).random((50, 3)), 2, model="jet", even=True, keep_input=True)


def test_a_scan_and_its_options_are_refused() -> None:
    points = np.random.default_rng(0).random((50, 3))
    with pytest.raises(OptionError, match="origin"):
        pcsr_zoo.upsample(points, 2, model="jet", even=True, origin=(0, 0, 0))
    cloud, _ = room()
    with pytest.raises(OptionError, match="scan-lines"):
        pcsr_zoo.upsample(cloud, 2, model="scan-lines", even=True)


def test_the_command(ball, tmp_path) -> None:
    write(ball, tmp_path / "a.ply")
    done = CliRunner().invoke(main, ["upsample", str(tmp_path / "a.ply"), "-x", "2", "-m", "jet", "--even"])
    assert done.exit_code == 0, done.output
    assert unevenness(read(tmp_path / "a_x2.ply").positions) < 0.25
    refused = CliRunner().invoke(main, ["upsample", str(tmp_path / "a.ply"), "-x", "4", "--even", "--keep-input"])
    assert refused.exit_code != 0
    assert not (tmp_path / "a_x4.ply").exists()
