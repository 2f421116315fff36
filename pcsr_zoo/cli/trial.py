"""`pcsr models try`: a model on a small cloud whose true surface is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .app import common_options, session
from .choices import check_device
from .complete import complete_model
from .options import with_device, with_seed
from .progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from ..zoo import LoadedModel

POINTS = 2048
_MAJOR, _MINOR = 0.7, 0.3  # radii of the torus, whose farthest points have distance 1 from its center


@click.command("try", short_help="Run a model on a small built-in cloud.")
@click.argument("name", shell_complete=complete_model, metavar="NAME")
@click.option("-x", "--ratio", type=click.FloatRange(min=1), metavar="R", help="Ratio [default: the model's, or 4].")
@with_seed
@with_device
@common_options
def try_(name: str, ratio: float | None, seed: int, device: str | None) -> None:
    """Run a model on 2,048 points of a torus, and measure the distance of its points to the true surface.

    NAME is a model (see pcsr models), the folder of a checkpoint, or hf:OWNER/REPO[@REVISION]. Distances are in units
    of the cloud's radius, which is 1.

    \b
    Examples:
      pcsr models try jet
      pcsr models try pointlie-geo-x8
    """
    from ..zoo import load

    check_device(device)
    loaded = load(name, device=device)
    session().say(f"{loaded.name}: {', '.join(loaded.tasks)}; a torus of {POINTS:,} points and radius 1")
    with progress_bar(loaded.name) as progress:
        for task, before, found, seconds in _results(loaded, ratio or loaded.ratio or 4, seed, progress):
            error = distance_to_torus(found)
            session().say(
                f"  {task}: {before:,} -> {len(found):,} points in {seconds:.2f} s; "
                f"distance to the surface: mean {error.mean():.2g}, maximum {error.max():.2g}"
            )


def _results(
    loaded: LoadedModel, ratio: float, seed: int, progress: Any
) -> Iterator[tuple[str, int, np.ndarray, float]]:
    """Task, number of input points, resulting points (N, 3), and seconds."""
    from ..zoo import load

    cloud = torus(seed)
    few = None
    for task in loaded.tasks:
        if task == "recover" and few is None:
            few = load("fps").sample(cloud, ratio, seed=seed)
        given = few if task == "recover" and few is not None else cloud
        options: dict[str, Any] = {"seed": seed, "progress": progress}
        options |= {"n": len(cloud)} if task == "recover" else {"ratio": ratio}
        start = time.perf_counter()
        found = getattr(loaded, task)(given, **options)
        seconds = time.perf_counter() - start
        few = found if task == "sample" else few
        yield task, len(given), found, seconds


def torus(seed: int) -> np.ndarray:
    """Evenly spread points (2048, 3) of the torus, by farthest point sampling of uniform random points."""
    import numpy as np

    from ..geometry.fps import farthest_point_sample

    rng = np.random.default_rng(seed)
    around, tube, accept = rng.uniform(0, 1, (3, 10 * POINTS))
    around, tube = 2 * np.pi * around, 2 * np.pi * tube
    ring = _MAJOR + _MINOR * np.cos(tube)
    points = np.stack([ring * np.cos(around), ring * np.sin(around), _MINOR * np.sin(tube)], axis=1)
    points = points[accept * (_MAJOR + _MINOR) < ring]  # uniform on the surface
    return np.asarray(points[farthest_point_sample(points, POINTS)])


def distance_to_torus(points: np.ndarray) -> np.ndarray:
    """Distances (N,) of points (N, 3) to the surface of the torus."""
    import numpy as np

    ring = np.linalg.norm(points[:, :2], axis=1) - _MAJOR
    return np.asarray(np.abs(np.hypot(ring, points[:, 2]) - _MINOR))
