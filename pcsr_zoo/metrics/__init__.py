"""Distances between point sets and surfaces, and the named conventions of published tables.

Everything is exact and runs on the CPU in float64. For differentiable distances, see `pcsr_zoo.losses`.
"""

from __future__ import annotations

from .chamfer import chamfer_distance
from .conventions import CONVENTIONS, Convention, evaluate
from .emd import earth_movers_distance
from .hausdorff import hausdorff_distance
from .in_units import distances_in_units
from .nearest import nearest_distances
from .point_to_surface import point_to_surface
from .surface import Surface
from .uniformity import estimate_area, uniformity

__all__ = [
    "CONVENTIONS",
    "Convention",
    "Surface",
    "chamfer_distance",
    "distances_in_units",
    "earth_movers_distance",
    "estimate_area",
    "evaluate",
    "hausdorff_distance",
    "nearest_distances",
    "point_to_surface",
    "uniformity",
]
