"""Reports of a round trip: a table, and a picture of the errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..cloud import Cloud
from ..pictures.coloring import distance_to

if TYPE_CHECKING:
    from PIL.Image import Image

    from .round_trip import Roundtrip

# Metrics of `evaluate` and their column headings.
_METRICS = {"cd": "CD", "hd": "HD", "p2f_mean": "P2F", "p2f_std": "P2F std", "emd": "EMD"}
_ERROR = "distance to the nearest point of the other cloud"


def metric_columns(mesh: bool, emd: bool, uniformity: Iterable[str] = ()) -> dict[str, str]:
    """Key of a row -> column heading, for the requested metrics."""
    wanted = {"p2f_mean": mesh, "p2f_std": mesh, "emd": emd}
    columns = {key: title for key, title in _METRICS.items() if wanted.get(key, True)}
    return columns | {f"uniformity {size}": f"U {size}" for size in uniformity}


def table_line(row: Mapping[str, Any] | None, columns: Mapping[str, str]) -> str:
    """One line of the table, with metrics times 1000; None gives the headings. Missing values are a dash."""
    if row is None:
        cells = ["method", "stored as", "bits", "points", "bytes", "bpp", *columns.values(), "s"]
    else:
        flat = {**row, **{f"uniformity {size}": value for size, value in row.get("uniformity", {}).items()}}
        numbers = [_digits(flat.get(key), 1000) for key in columns]
        cells = [row["name"], row["stored"].upper(), str(row["bits"] or "-"), f"{row['points']:,}", f"{row['bytes']:,}"]
        cells += [f"{row['bits_per_point']:.2f}", *numbers, _digits(row["seconds"], 1)]
    widths = [max(16, len(cells[0])), 9, 4, 9, 11, 7, *(max(8, len(title)) for title in columns.values()), 6]
    first, *others = (
        text.ljust(width) if place < 2 else text.rjust(width)
        for place, (text, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def picture(trip: Roundtrip, size: tuple[int, int] = (320, 400)) -> Image:
    """Draw the original and the recovered clouds side by side, colored on one scale of distances.

    The points of the original are colored by the distance to the nearest point of the first method's result, those of
    a result by the distance to the nearest point of the original. Distances are in the unit of the file.
    """
    from ..pictures.image import render

    rows = {row["name"]: row for row in trip.facts["rows"]}
    first = next(iter(rows))
    original = Cloud(trip.original)
    lost = distance_to(trip.original, Cloud(trip.recovered[first]))
    clouds, titles = [Cloud(trip.original, {_ERROR: lost})], [f"original\ndistance to {first}"]
    for name, points in trip.recovered.items():
        clouds.append(Cloud(points, {_ERROR: distance_to(points, original)}))
        row = rows[name]
        titles.append(f"{name}\n{row['bytes']:,} bytes, CD {_digits(row['cd'], 1000)}, HD {_digits(row['hd'], 1000)}")
    return render(clouds, color_by=_ERROR, titles=titles, size=size)


def _digits(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{factor * value:.4g}"
