"""Open3D-ML's data, a dict of arrays with `point` and `feat`, from and to `Cloud`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cloud import COLORS, LABELS, Cloud
from ..errors import CloudError
from ..io import open_cloud

GROUND_TRUTH, MESH = "gt", "mesh"  # optional keys of an item, for `run_test`
METADATA = "cloud_metadata"  # what the file of a cloud contains in addition to its points, such as a recovery note
_FEATURES = ("feat", COLORS, "features")  # the first that exists becomes `feat`


def to_cloud(data: Any) -> tuple[Cloud, np.dtype]:
    """Return a cloud, and the dtype of the given points (float64 if they were not floats).

    Args:
        data: a dict with `point` (N, 3), `feat` ((N,), (N, C), None or absent) and further arrays with one row a point
            (`label`, `intensity`, `normals`, ...), NumPy or torch. Other values are left out. Further columns of
            `point`, (N, 3 + C), become `feat` if there is none. Or whatever `pcsr_zoo.upsample` takes: a Cloud, an
            array, an Open3D cloud, a path.

    Raises:
        CloudError: there is no `point`, or its shape is wrong.
    """
    if not isinstance(data, Mapping):
        return open_cloud(data)[0], np.dtype(np.float64)
    if data.get("point") is None:
        raise CloudError(f"the data has no 'point', an (N, 3) array; it has: {', '.join(map(str, data)) or 'nothing'}")
    points = _array(data["point"])
    attributes = {}
    if points.ndim == 2 and points.shape[1] > 3:
        points, attributes["feat"] = points[:, :3], points[:, 3:]
    for key, value in data.items():
        column = None if value is None or key in ("point", GROUND_TRUTH) else _array(value)
        if column is not None and column.ndim in (1, 2) and len(column) == len(points) and column.dtype.kind in "fiub":
            attributes[_attribute(str(key), column, data)] = column
    cloud = Cloud(points, attributes, data.get(METADATA))
    return cloud, points.dtype if points.dtype.kind == "f" else np.dtype(np.float64)


def to_data(cloud: Cloud, dtype: Any = np.float64) -> dict[str, Any]:
    """{"point": (N, 3), "feat": colors or features or None, "label", ...: other attributes, "cloud_metadata"}."""
    rest = dict(cloud.attributes)
    found = next((name for name in _FEATURES if name in rest), None)
    data: dict[str, Any] = {"point": cloud.positions.astype(dtype), "feat": None if found is None else rest.pop(found)}
    data |= {"label" if name == LABELS else name: values for name, values in rest.items()}
    return data | ({METADATA: cloud.metadata} if cloud.metadata else {})


def one_cloud(inputs: Any) -> Any:
    """What Open3D-ML's data loaders return, without "attr" and without the dimension of a batch of one cloud.

    Raises:
        CloudError: the batch has several clouds.
    """
    data = inputs["data"] if isinstance(inputs, Mapping) and "data" in inputs else inputs
    if not isinstance(data, Mapping) or getattr(data.get("point"), "ndim", 2) != 3:
        return data
    if len(data["point"]) != 1:
        raise CloudError(f"'point' is a batch of {len(data['point'])} clouds; use a batch size of 1")
    return {key: value[0] for key, value in data.items()}


def result_cloud(data: Mapping[str, Any]) -> Cloud:
    """The cloud of a result as a file should store it: colors as colors, in the range of their type."""
    cloud = to_cloud(data)[0]
    feat = cloud.attributes.pop(COLORS, cloud.attributes.pop("feat", None))
    if feat is not None and feat.ndim == 2 and feat.shape[1] == 3 and feat.min(initial=0) >= 0:
        top = feat.max(initial=0)
        if feat.dtype in (np.uint8, np.uint16) or (feat.dtype.kind == "f" and top <= 1):
            cloud.attributes[COLORS] = feat
            return cloud
        if top <= 255:  # as in most of Open3D-ML's data sets
            cloud.attributes[COLORS] = np.rint(feat).astype(np.uint8)
            return cloud
    if feat is not None:
        cloud.attributes["features"] = feat
    return cloud


def visualizer_data(name: str, data: Any) -> dict[str, Any]:
    """One entry of the list that `open3d.ml.vis.Visualizer().visualize` takes.

    Args:
        name: the label in the tree; "a/b" is b in the group a.
        data: a result of a pipeline, or anything that `to_cloud` takes.
    """
    entry = to_data(to_cloud(data)[0], np.float32)
    entry["points"] = entry.pop("point")
    return {"name": name, **{key: value for key, value in entry.items() if value is not None and key != METADATA}}


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths
        return np.empty(0)


def _attribute(key: str, column: np.ndarray, data: Mapping[str, Any]) -> str:
    """The name of an entry's attribute: integer colors are interpolated, other integers are copied."""
    if key == "feat":
        is_color = column.ndim == 2 and column.shape[1] == 3 and column.dtype.kind in "iu" and COLORS not in data
        return COLORS if is_color else key
    return LABELS if key == "label" else key
