"""Reconstruction of a triangle mesh from a cloud, by Open3D: normals, surface, trimming, attributes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._open3d import import_open3d
from ..cloud import NORMALS, Cloud
from ..errors import CloudError, OptionError
from ..geometry.distinct import distinct_points, first_occurrences
from ..geometry.frames import UnitFrame
from ..geometry.knn import KNN
from ..geometry.normals import estimate_normals
from ..geometry.transfer import transfer_attributes
from ..io import open_cloud
from ..io.recovery_note import without_note
from ..io.trimesh import Mesh

if TYPE_CHECKING:
    from .same_kind import CloudLike

METHODS = ("poisson", "ball-pivoting")
DEPTHS = (2, 14)  # of Poisson's octree; Open3D needs gigabytes beyond
FEWEST = 4  # distinct points
_NEIGHBORS = 6  # the distance to this neighbor is the spacing around a point
_RADII = (0.75, 1.5, 3.0)  # of the pivoting balls, in units of the median spacing


def with_normals(cloud: Cloud) -> Cloud:
    """The cloud itself if it has normals that are not all zero, else with normals from `estimate_normals`, float32."""
    if NORMALS in cloud.attributes and np.any(np.nan_to_num(cloud.attributes[NORMALS])):
        return cloud
    normals = estimate_normals(cloud.positions).astype(np.float32)
    return Cloud(cloud.positions, {**cloud.attributes, NORMALS: normals}, cloud.metadata)


def reconstruct_surface(
    x: CloudLike,
    *,
    method: str = "poisson",
    depth: int = 8,
    trim: float = 2.0,
    radius: float | None = None,
    estimate: bool = False,
) -> Mesh:
    """Reconstruct the surface of a cloud as a triangle mesh.

    Args:
        x: a Cloud, a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), an Open3D cloud, or a path.
        method: "poisson", screened Poisson reconstruction (Kazhdan and Hoppe 2013), which smooths and closes gaps; or
            "ball-pivoting" (Bernardini et al. 1999), which connects the points themselves and leaves gaps open.
        depth: depth of Poisson's octree, 2 to 14: the finest cell is about 1/2^depth of the cloud's size.
        trim: vertices of Poisson's surface are removed where the nearest point is farther away than this many times
            the spacing around that point, so that surfaces which only close a gap or the border are left out. 0 keeps
            all of them.
        radius: radius of the ball, in the cloud's unit. None: three balls that follow from the spacing.
        estimate: estimate normals even if the cloud has some.

    Returns:
        The mesh: `vertices`, a Cloud with normals and with the attributes of the input (see `geometry.transfer`), and
        `triangles` (F, 3) int64.

    Raises:
        CloudError: the cloud is empty, has NaN or infinite positions or fewer than 4 distinct points; or no
            triangle was found.
        OptionError: an argument is out of its range.
    """
    _check(method, depth, trim, radius)
    cloud = open_cloud(x)[0].validate()
    if len(distinct_points(cloud.positions)) < FEWEST:
        raise CloudError(f"the cloud has fewer than {FEWEST} distinct points, which no surface can be made of")
    cloud = cloud[first_occurrences(cloud.positions)]
    if estimate:
        rest = {name: values for name, values in cloud.attributes.items() if name != NORMALS}
        cloud = Cloud(cloud.positions, rest, cloud.metadata)
    cloud = with_normals(cloud)
    frame = UnitFrame.of(cloud.positions)
    points, normals = frame.to_unit(cloud.positions), np.nan_to_num(cloud.attributes[NORMALS].astype(np.float64))
    tree = KNN(points)
    spacing = tree.query(points, _NEIGHBORS + 1)[0][:, -1]
    o3d = import_open3d()
    prepared = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    prepared.normals = o3d.utility.Vector3dVector(normals)
    make = o3d.geometry.TriangleMesh
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        if method == "poisson":
            mesh, _ = make.create_from_point_cloud_poisson(prepared, depth=depth, n_threads=1)  # more threads differ
        else:
            radii = [radius / frame.scale] if radius else [factor * np.median(spacing) for factor in _RADII]
            mesh = make.create_from_point_cloud_ball_pivoting(prepared, o3d.utility.DoubleVector(radii))
    vertices, triangles = np.asarray(mesh.vertices).copy(), np.asarray(mesh.triangles).astype(np.int64)
    if method == "poisson" and trim:
        distance, nearest = tree.query(vertices, 1)
        near = distance[:, 0] <= trim * spacing[nearest[:, 0]]
        triangles = triangles[near[triangles].all(axis=1)]
    if not len(triangles):
        remedy = "give a larger --radius" if method != "poisson" else "its normals may be wrong (--estimate-normals)"
        raise CloudError(f"no triangle was found between the {len(points):,} points of the cloud; {remedy}")
    used, triangles = np.unique(triangles, return_inverse=True)
    vertices, triangles = vertices[used], triangles.reshape(-1, 3)
    attributes = transfer_attributes(points, cloud.attributes, vertices)
    attributes[NORMALS] = _vertex_normals(vertices, triangles).astype(np.float32)
    return Mesh(Cloud(frame.from_unit(vertices), attributes, without_note(cloud.metadata)), triangles)


def _vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3): means of the triangles' normals, weighted by area."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    each, total = np.cross(b - a, c - a), np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], each)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)


def _check(method: str, depth: Any, trim: Any, radius: Any) -> None:
    if method not in METHODS:
        raise OptionError(f"method must be {' or '.join(METHODS)}, got {method!r}")
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not DEPTHS[0] <= depth <= DEPTHS[1]:
        raise OptionError(f"depth must be an integer from {DEPTHS[0]} to {DEPTHS[1]}, got {depth!r}")
    if not (isinstance(trim, (int, float)) and 0 <= trim < math.inf):
        raise OptionError(f"trim must be a number of at least 0, got {trim!r}")
    if radius is not None and not (isinstance(radius, (int, float)) and 0 < radius < math.inf):
        raise OptionError(f"radius must be a positive number, got {radius!r}")
