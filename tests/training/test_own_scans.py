"""Fine-tuning on the user's frames of spinning LiDAR."""

from __future__ import annotations

import numpy as np
import pytest
from scans import ELEVATIONS, room, room_range

from pcsr_zoo import Cloud, write
from pcsr_zoo.datasets.describe import describe_training_file
from pcsr_zoo.datasets.scan_set import ScanSet
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.models.scan_net.model import ScanNet
from pcsr_zoo.training.api import finetune
from pcsr_zoo.training.own_scans import scan_file


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(3):
        write(room(origin=(0.1 * k, 0, 1))[0], folder / f"frame{k}.pcd")
    write(Cloud(np.random.default_rng(0).normal(size=(300, 3))), folder / "other.ply")
    return folder


def test_frames_become_images_of_ranges(frames, tmp_path):
    lines = []
    path = scan_file([frames], tmp_path / "data", lines.append)
    data = ScanSet.load(path)
    assert (len(data.train), len(data.held_out)) == (2, 1)
    assert any("other.ply" in line for line in lines)
    scan = data.scans[0]
    azimuth = -np.pi + (np.arange(360) + 0.5) * 2 * np.pi / 360
    truth = room_range(*np.meshgrid(azimuth, ELEVATIONS))
    assert scan.ranges.shape == truth.shape
    assert np.median(np.abs(scan.ranges / truth - 1)) < 1e-3
    assert scan_file([frames], tmp_path / "data", lines.append) == path
    assert scan_file([path], tmp_path / "data", lines.append) == path
    about = describe_training_file(path)
    assert (about["shapes"], about["held_out"], about["licenses"]) == (3, 1, {"unknown": 3})


def test_what_cannot_be_used_is_named(frames, tmp_path):
    with pytest.raises(CloudError, match=r"other\.ply"):
        scan_file([frames / "other.ply"], tmp_path / "data", print)
    (tmp_path / "mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(OptionError, match=r"mesh\.obj"):
        scan_file([tmp_path / "mesh.obj"], tmp_path / "data", print)
    with pytest.raises(FileError, match="nowhere"):
        scan_file([tmp_path / "nowhere"], tmp_path / "data", print)


def test_fine_tuning(frames, tmp_path):
    from pcsr_zoo import load

    start = load(ScanNet(3), allow_untrained=True).save(tmp_path / "start", name="start")
    settings = {"steps": 3, "batch": 2, "warmup": 1, "validate_every": 3, "workers": 0}
    outcome = finetune(
        start, frames, tmp_path / "mine", settings=settings, recipe={"columns": 64, "rings": 6}, device="cpu"
    )
    assert set(outcome.figures) == set(ScanNet.figures)
    assert load(tmp_path / "mine").resolved.config["about"]["parent"] == "start"
