"""`Cloud`: positions in float64, named attributes of the points, and the metadata of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CloudError

if TYPE_CHECKING:
    import torch

# Attributes with a meaning; attributes of other names are only carried along.
COLORS, NORMALS, INTENSITY, LABELS = "colors", "normals", "intensity", "labels"


class Cloud:
    """A point cloud.

    Args:
        positions: (N, 3) numbers, kept as C-contiguous float64.
        attributes: name -> array of shape (N,) or (N, C), each kept in its own dtype. `colors` is (N, 3), either
            integers over their full range (uint8, uint16) or floats in [0, 1]; `normals` is (N, 3).
        metadata: what the file has in addition to its points (coordinate system, LAS header, comments).

    Raises:
        CloudError: the shapes do not match, or the positions are not numbers.
    """

    __slots__ = ("attributes", "metadata", "positions")

    # `pcsr_zoo.read` and `pcsr_zoo.write`; `pcsr_zoo.io`, which is above this module, sets them.
    read: ClassVar[Callable[..., Cloud]]
    write: ClassVar[Callable[..., None]]

    def __init__(
        self,
        positions: ArrayLike,
        attributes: Mapping[str, ArrayLike] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            array = np.ascontiguousarray(positions, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CloudError(f"positions must be numbers of shape (N, 3): {error}") from None
        if array.ndim != 2 or array.shape[1] != 3:
            raise CloudError(f"positions must have the shape (N, 3), got {array.shape}")
        self.positions: NDArray[np.float64] = array
        self.attributes: dict[str, np.ndarray] = {}
        self.metadata: dict[str, Any] = dict(metadata or {})
        for name, values in (attributes or {}).items():
            column = np.ascontiguousarray(values)
            if column.ndim not in (1, 2) or len(column) != len(array):
                raise CloudError(
                    f"attribute '{name}' has the shape {column.shape}, which does not match {len(array)} points"
                )
            if name in (COLORS, NORMALS) and (column.ndim != 2 or column.shape[1] < 3):
                raise CloudError(f"attribute '{name}' must have three columns, got the shape {column.shape}")
            self.attributes[name] = column

    # -- container ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: slice | ArrayLike) -> Cloud:
        """The points selected by a slice, a boolean mask (N,) or integer indices (M,), with their attributes."""
        if not isinstance(index, slice):
            index = np.atleast_1d(np.asarray(index))
            if index.size == 0:
                index = index.astype(np.int64)
        return Cloud(
            self.positions[index],
            {name: values[index] for name, values in self.attributes.items()},
            self.metadata,
        )

    @staticmethod
    def concatenate(clouds: Iterable[Cloud]) -> Cloud:
        """One cloud of all points, with the attributes that all parts have and the metadata of the first part."""
        parts = list(clouds)
        if not parts:
            raise CloudError("there are no clouds to concatenate")
        shared = [
            name
            for name, values in parts[0].attributes.items()
            if all(name in part.attributes and part.attributes[name].shape[1:] == values.shape[1:] for part in parts)
        ]
        return Cloud(
            np.concatenate([part.positions for part in parts]),
            {name: np.concatenate([part.attributes[name] for part in parts]) for name in shared},
            parts[0].metadata,
        )

    def copy(self) -> Cloud:
        """A copy with its own arrays; the values of the metadata are shared."""
        return Cloud(
            self.positions.copy(),
            {name: values.copy() for name, values in self.attributes.items()},
            self.metadata,
        )

    def __repr__(self) -> str:
        columns = ", ".join(
            f"{name}:{values.dtype}" + (f"x{values.shape[1]}" if values.ndim == 2 else "")
            for name, values in self.attributes.items()
        )
        box = ""
        if len(self):
            low, high = self.bounds
            box = f", from ({', '.join(f'{v:.6g}' for v in low)}) to ({', '.join(f'{v:.6g}' for v in high)})"
        return f"Cloud({len(self):,} points{box}; attributes: {columns or 'none'})"

    # -- properties and checks ---------------------------------------------------------------------------------

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest corner of the bounding box, each (3,)."""
        if not len(self):
            raise CloudError("an empty cloud has no bounds")
        return self.positions.min(axis=0), self.positions.max(axis=0)

    def validate(self, name: str = "the cloud", min_points: int = 1) -> Cloud:
        """Return self if it has at least `min_points` points and all positions are finite.

        `cloud[numpy.isfinite(cloud.positions).all(axis=1)]` drops the other rows.

        Args:
            name: the name of the cloud in the message, such as its path.
            min_points: the required number of points.

        Raises:
            CloudError: there are too few points; or a position is NaN or infinite: the message names its row,
                counted from 0.
        """
        if len(self) < min_points:
            have = "is empty" if len(self) == 0 else f"has only {len(self)} point{'s' if len(self) > 1 else ''}"
            raise CloudError(f"{name} {have}; at least {min_points} {'is' if min_points == 1 else 'are'} required")
        finite = np.isfinite(self.positions).all(axis=1)
        if not finite.all():
            bad = np.flatnonzero(~finite)
            row = self.positions[bad[0]]
            raise CloudError(
                f"{name}: row {bad[0]} has a position that is NaN or infinite ({row[0]}, {row[1]}, {row[2]})"
                + (f", and {len(bad) - 1} more rows" if len(bad) > 1 else "")
                + "; remove such rows first"
            )
        return self

    def colors_as_float(self) -> NDArray[np.float64] | None:
        """Colors (N, 3) in [0, 1], or None if the cloud has no colors."""
        if COLORS not in self.attributes:
            return None
        colors = self.attributes[COLORS][:, :3]
        if np.issubdtype(colors.dtype, np.integer):
            return colors / float(np.iinfo(colors.dtype).max)
        return colors.astype(np.float64)

    # -- other libraries ----------------------------------------------------------------------------------------

    def to_numpy(self, dtype: Any = np.float64) -> np.ndarray:
        """Positions (N, 3)."""
        return self.positions.astype(dtype)

    def to_torch(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> torch.Tensor:
        """Positions as a tensor (N, 3); the dtype is float64 by default."""
        import torch

        return torch.as_tensor(self.positions.copy(), dtype=dtype or torch.float64, device=device)

    def to_open3d(self) -> Any:
        """A legacy `open3d.geometry.PointCloud` with positions, normals and colors, without other attributes."""
        from ._open3d import import_open3d

        o3d = import_open3d()
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(self.positions))
        if NORMALS in self.attributes:
            cloud.normals = o3d.utility.Vector3dVector(self.attributes[NORMALS].astype(np.float64))
        if (colors := self.colors_as_float()) is not None:
            cloud.colors = o3d.utility.Vector3dVector(colors)
        return cloud

    def to_open3d_tensor(self) -> Any:
        """An `open3d.t.geometry.PointCloud` with float64 positions and all attributes, as (N, C) columns."""
        from ._open3d import import_open3d

        o3d = import_open3d()
        cloud = o3d.t.geometry.PointCloud(o3d.core.Tensor(self.positions))
        for name, values in self.attributes.items():
            column = values if values.ndim == 2 else values[:, None]
            if column.dtype.kind == "f" and column.dtype.itemsize == 2:
                column = column.astype(np.float32)
            cloud.point[name] = o3d.core.Tensor(np.ascontiguousarray(column))
        return cloud

    @staticmethod
    def from_open3d(cloud: Any) -> Cloud:
        """A Cloud from a legacy or tensor Open3D point cloud."""
        if hasattr(cloud, "point"):  # tensor
            columns = {name: cloud.point[name].cpu().numpy() for name in cloud.point}
            positions = columns.pop("positions", np.empty((0, 3)))
            flat = {n: c[:, 0] if c.ndim == 2 and c.shape[1] == 1 else c for n, c in columns.items()}
            return Cloud(positions, flat)
        attributes = {}
        if cloud.has_normals():
            attributes[NORMALS] = np.asarray(cloud.normals).copy()
        if cloud.has_colors():
            attributes[COLORS] = np.asarray(cloud.colors).copy()
        return Cloud(np.asarray(cloud.points).copy(), attributes)


def as_cloud(x: Any) -> tuple[Cloud, Callable[[Cloud], Any]]:
    """Convert an input to a Cloud, and return a function that converts a Cloud back to the kind of the input.

    Floating-point dtypes are restored; integers become float64. `io.open_cloud` also accepts a path.

    Args:
        x: a Cloud; a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), whose columns from the fourth on
            become the attribute `features`; a legacy or tensor Open3D cloud; or nested lists, which become NumPy.

    Raises:
        CloudError: the input is none of these.
    """
    if isinstance(x, Cloud):
        return x, lambda cloud: cloud
    module = type(x).__module__.partition(".")[0]
    if module == "open3d":
        if hasattr(x, "point"):
            dtypes = {name: x.point[name].dtype for name in x.point}
            if "positions" in dtypes and not str(dtypes["positions"]).startswith("Float"):
                del dtypes["positions"]  # interpolated points are not integers
            device = x.device

            def back(cloud: Cloud) -> Any:
                out = cloud.to_open3d_tensor()
                for name, dtype in dtypes.items():
                    if name in out.point:
                        out.point[name] = out.point[name].to(dtype)
                return out.to(device)

            return Cloud.from_open3d(x), back
        if hasattr(x, "points") and hasattr(x, "has_colors"):
            return Cloud.from_open3d(x), Cloud.to_open3d
        raise CloudError(f"cannot use an Open3D {type(x).__name__} as a point cloud")
    if module == "torch":
        import torch

        if not isinstance(x, torch.Tensor):
            raise CloudError(f"cannot use a torch {type(x).__name__} as a point cloud")
        if x.is_complex() or x.dtype == torch.bool:
            raise CloudError(f"cannot use a tensor of dtype {x.dtype} as a point cloud; give numbers of shape (N, 3)")
        kind, device = x.dtype if x.is_floating_point() else torch.float64, x.device
        cloud = _from_columns(x.detach().cpu().double().numpy() if kind == torch.bfloat16 else x.detach().cpu().numpy())
        return cloud, lambda out: torch.as_tensor(_to_columns(out), dtype=kind, device=device)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise CloudError(f"cannot use this {type(x).__name__} as a point cloud: {error}") from None
    if array.dtype.kind not in "fiu":
        raise CloudError(f"cannot use a {type(x).__name__} as a point cloud; give numbers of shape (N, 3)")
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    return _from_columns(array), lambda cloud: _to_columns(cloud).astype(dtype)


def _from_columns(array: np.ndarray) -> Cloud:
    if array.ndim != 2 or array.shape[1] < 3:
        raise CloudError(f"a point cloud must have the shape (N, 3) or (N, 3 + C), got {array.shape}")
    return Cloud(array[:, :3], {"features": array[:, 3:].astype(np.float64)} if array.shape[1] > 3 else None)


def _to_columns(cloud: Cloud) -> np.ndarray:
    if "features" in cloud.attributes:
        return np.concatenate([cloud.positions, cloud.attributes["features"]], axis=1)
    return cloud.positions.copy()
