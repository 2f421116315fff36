"""examples/ros_bag.py: every field of the points of a bag, in its type."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ros_bag.py"
if not EXAMPLE.is_file():
    pytest.skip("the examples come with the checkout", allow_module_level=True)


def test_a_bag_of_two_frames(tmp_path, monkeypatch) -> None:
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    names = ("sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/PointField", "std_msgs/msg/Header")
    cloud_type, field_type, header_type = (store.types[name] for name in names)
    time_type = store.types["builtin_interfaces/msg/Time"]
    fields = {"x": ("<f4", 0, 7), "y": ("<f4", 4, 7), "z": ("<f4", 8, 7), "ring": ("<u2", 14, 4), "t": ("<f8", 16, 8)}
    formats, offsets, numbers = zip(*fields.values(), strict=True)
    kind = np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": 24})
    points = np.zeros(12, kind)
    for name in fields:
        points[name] = np.random.default_rng(0).integers(0, 99, 12)
    points["y"][3] = np.nan
    described = [
        field_type(name=name, offset=offset, datatype=number, count=1)
        for name, offset, number in zip(fields, offsets, numbers, strict=True)
    ]
    message = cloud_type(
        header=header_type(stamp=time_type(sec=1, nanosec=2), frame_id="lidar"),
        **{"height": 2, "width": 6, "fields": described, "is_bigendian": False, "is_dense": False},
        **{"point_step": 24, "row_step": 144, "data": np.frombuffer(points.tobytes(), np.uint8)},
    )
    with Writer(tmp_path / "bag", version=9) as writer:
        connection = writer.add_connection("/points", names[0], typestore=store)
        for time in (1000, 2000):
            writer.write(connection, time, store.serialize_cdr(message, names[0]))
    monkeypatch.setattr(sys, "argv", ["ros_bag.py", str(tmp_path / "bag"), str(tmp_path / "frames")])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["1000.npy", "2000.npy"]
    frame = np.load(tmp_path / "frames" / "1000.npy")
    assert frame.dtype == np.dtype([(name, kind[name]) for name in fields])
    for name in fields:
        np.testing.assert_array_equal(frame[name], np.delete(points[name], 3))
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--topic", "/nothing"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
