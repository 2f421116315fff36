"""The points that models get: in the unit frame, without outliers, in an order that depends on their positions only."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cloud import Cloud
from .distinct import distinct_points, first_occurrences
from .frames import UnitFrame, principal_axes
from .knn import KNN
from .outliers import isolated_points

_log = logging.getLogger("pcsr_zoo")

_GRID = 2.0**38  # turned coordinates are rounded to its inverse, 4e-12 of the cloud's radius


@dataclass(frozen=True)
class WorkingCloud:
    """The points of a cloud as models get them. The result depends on neither the order of the points nor outliers.

    Attributes:
        frame: the unit frame of the points without outliers.
        axes: (3, 3), the axes to which the points are turned.
        rows: (K,), the points' rows in the cloud, in an order that follows from their coordinates.
        alone: (A,), rows of the outliers (`geometry.outliers.isolated_points`), which models do not see.
        points: (K, 3), the points in the frame and the axes.
        distinct: (D, 3), the same without duplicates.
    """

    frame: UnitFrame
    axes: NDArray[np.float64]
    rows: NDArray[np.int64]
    alone: NDArray[np.int64]
    points: NDArray[np.float64]
    distinct: NDArray[np.float64]

    @staticmethod
    def of(positions: np.ndarray, turned: bool) -> WorkingCloud:
        """The working cloud of (N, 3) positions; with `turned`, in the cloud's own principal axes.

        In these axes, a cloud that is turned gives the same numbers to the last digit that is kept, in the same order,
        so that near ties, of which farthest point sampling makes far-reaching ones, fall the same way.
        """
        order = np.lexsort(positions.T)
        first = order[first_occurrences(positions[order])]
        first = first[in_space(_scaled(positions[first]))]
        found = isolated_points(_scaled(positions[first]))
        alone = np.zeros(len(positions), bool)
        alone[first[found]] = True
        inside = order[~alone[order]]
        frame = UnitFrame.of(positions[inside])
        points, axes = frame.to_unit(positions[inside]), np.eye(3)
        if turned:
            axes = principal_axes(points)
            points = np.rint(points @ axes * _GRID) / _GRID
            again = np.lexsort(points.T)
            inside, points = inside[again], points[again]
        again = in_space(points)
        inside, points = inside[again], points[again]
        return WorkingCloud(frame, axes, inside, np.flatnonzero(alone), points, distinct_points(points))

    def back(self, points: np.ndarray) -> NDArray[np.float64]:
        """Points (M, 3) in the frame and axes of the cloud that was given."""
        plain = (self.axes == np.eye(3)).all()
        return self.frame.from_unit(points if plain else points @ self.axes.T)

    def replaced(self, positions: np.ndarray, points: np.ndarray) -> NDArray[np.float64]:
        """The positions (N, 3) of the cloud, with `points` (K, 3) in place of its working points."""
        out = positions.copy()
        out[self.rows] = self.back(points)
        return out

    def of_rows(self, attributes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The attributes of the working points."""
        return {name: values[self.rows] for name, values in attributes.items()}

    def tell(self, what: str) -> None:
        """Say what happens to the outliers, if there are any."""
        if count := len(self.alone):
            _log.warning("%d of %d points far from all others: %s", count, count + len(self.rows), what)


def in_space(points: np.ndarray) -> NDArray[np.int64]:
    """An order of points (N, 3) in which neighbors are close in memory, which makes all that follows faster."""
    return np.asarray(KNN(points).tree.indices)


def _scaled(points: np.ndarray) -> np.ndarray:
    """Points whose squared distances fit into float64, as far as possible."""
    far = np.abs(points).max(initial=0.0)
    return points / far if far > 1e140 or 0 < far < 1e-140 else points


def warn_of_degrees(cloud: Cloud) -> None:
    """Log a warning if the coordinates of a cloud are degrees, which are not lengths."""
    if crs := cloud.metadata.get("degrees"):
        _log.warning(
            "the coordinates are degrees (%s): a degree counts as much as a unit of height, so distances are wrong; "
            "project the cloud to meters first (for example with PDAL, filters.reprojection)",
            crs,
        )
