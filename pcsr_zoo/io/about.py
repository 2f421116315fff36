"""Facts about a file, as values that JSON can store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..cloud import Cloud
from ..geometry.spinning.scan import describe_scans, scans_in
from .las_header import describe_header, unit_of_header
from .recovery_note import note_of
from .trimesh import Mesh

_METRIC = ("E57", "GLB", "GLTF", "KITTI")  # formats whose positions are in meters


def describe_file(path: Path, content: Cloud | Mesh) -> dict[str, Any]:
    """Describe a file that was read.

    Returns:
        A dictionary with the keys file, kind ("cloud" or "mesh"), format, encoding, points (for a mesh the number of
        vertices), triangles (meshes only), position_dtype, attributes (name -> dtype, "uint8 x 3" for a vector),
        bounds ([lowest, highest] corner of the finite points, in the unit of the file, or None), invalid_points
        (number of rows that are NaN or infinite), bytes, bits_per_point (None for meshes and empty clouds),
        spinning_lidar (rings and columns, only for a scan of a spinning sensor), recovery (the recovery note,
        only for a sampled cloud) and details (other entries of the header).
    """
    cloud = content.vertices if isinstance(content, Mesh) else content
    finite = cloud.positions[np.isfinite(cloud.positions).all(axis=1)]
    size = path.stat().st_size
    about: dict[str, Any] = {
        "file": str(path),
        "kind": "mesh" if isinstance(content, Mesh) else "cloud",
        "format": cloud.metadata.get("format", path.suffix[1:].upper()),
        "encoding": cloud.metadata.get("encoding", "unknown"),
        "points": len(cloud),
    }
    if isinstance(content, Mesh):
        about["triangles"] = len(content.triangles)
    about["position_dtype"] = cloud.metadata.get("position_dtype", "float64")
    about["attributes"] = {
        name: str(values.dtype) + (f" x {values.shape[1]}" if values.ndim == 2 else "")
        for name, values in cloud.attributes.items()
    }
    about["bounds"] = [finite.min(axis=0).tolist(), finite.max(axis=0).tolist()] if len(finite) else None
    about["invalid_points"] = len(cloud) - len(finite)
    about["bytes"] = size
    about["bits_per_point"] = 8 * size / len(cloud) if len(cloud) and not isinstance(content, Mesh) else None
    if scans := scans_in(cloud):
        about["spinning_lidar"] = describe_scans(scans)
    if note := note_of(cloud.metadata):
        about["recovery"] = note
    about["details"] = _details(cloud)
    return about


def unit_of(cloud: Cloud) -> str | None:
    """The unit of the positions, if the file or its format says one."""
    if header := cloud.metadata.get("las", {}).get("header"):
        return "degree" if "degrees" in cloud.metadata else unit_of_header(header)
    return "metre" if cloud.metadata.get("format") in _METRIC else None


def _details(cloud: Cloud) -> dict[str, Any]:
    if header := cloud.metadata.get("las", {}).get("header"):
        return describe_header(header)
    if found := cloud.metadata.get("e57"):
        names = [scan["facts"].get("name", "") for scan in found["scans"]]
        return {"scans": names, **({"crs": found["coordinates"]} if found["coordinates"] else {})}
    if (known := cloud.metadata.get("colmap")) is not None:
        return {"observations": len(known.entries)}
    if columns := cloud.metadata.get("columns"):
        return {"columns": columns["order"]}
    said = cloud.metadata.get("ply") or cloud.metadata.get("pcd") or {}
    return {name: value for name, value in said.items() if value not in ([], None)}
