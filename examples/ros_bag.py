"""The frames of a ROS bag as files for `pcsr`, with every field of the points.

    pip install rosbags
    python examples/ros_bag.py drive.bag frames/ --topic /velodyne_points
    pcsr upsample frames/ -x 4 -o dense/

A frame is a structured .npy array with the fields of sensor_msgs/PointCloud2 (x, y, z, intensity, ring, time, ...), in
their order and types, and so is the result. Bags of ROS 1 and 2 are read, without ROS. The name of a file is the time
of its frame in nanoseconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # of sensor_msgs/PointField


def points_of(message: Any) -> np.ndarray:
    """The points (N,) of a PointCloud2 as a structured array; those without a return (NaN) are left out."""
    order = ">" if message.is_bigendian else "<"
    named = [field for field in message.fields if field.name]
    kind = np.dtype(
        {
            "names": [field.name for field in named],
            "formats": [
                (order + TYPES[field.datatype], (field.count,)) if field.count > 1 else order + TYPES[field.datatype]
                for field in named
            ],
            "offsets": [field.offset for field in named],
            "itemsize": message.point_step,
        }
    )
    rows = np.asarray(message.data, np.uint8).reshape(message.height, message.row_step)
    rows = np.ascontiguousarray(rows[:, : message.width * message.point_step])
    points = rows.view(kind).reshape(-1)
    packed = np.empty(len(points), [(name, kind[name]) for name in kind.names or ()])
    for name in packed.dtype.names or ():
        packed[name] = points[name]
    return packed[np.isfinite(packed["x"]) & np.isfinite(packed["y"]) & np.isfinite(packed["z"])]


def main() -> None:
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--topic", help="by default the only one with points")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with AnyReader([options.bag], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        topics = [c for c in reader.connections if c.msgtype == "sensor_msgs/msg/PointCloud2"]
        chosen = [c for c in topics if options.topic in (None, c.topic)]
        if len({c.topic for c in chosen}) != 1:
            parser.error(f"--topic must be one of: {', '.join(sorted({c.topic for c in topics})) or 'none has points'}")
        count = 0
        for connection, time, data in reader.messages(connections=chosen):
            np.save(options.folder / f"{time}.npy", points_of(reader.deserialize(data, connection.msgtype)))
            count += 1
    print(f"{options.folder}: {count} frames of {chosen[0].topic}")


if __name__ == "__main__":
    main()
