"""Adapting a network to a single scan, of which nothing is known but its points; `pcsr upsample --adapt` is this.

The network learns on a part of the scan, by a recipe that needs no truth. A second part, which neither training nor the
network's input contains, says when to stop; a third one, looked at once, says whether it helped. If not, the network
stays as it was.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..models.base import Learned, Progress
from .config import as_table
from .options import make_recipe, recipe_options, refuse_unknown
from .settings import Settings

if TYPE_CHECKING:
    from .adapt_judge import Verdict
    from .recipe import Recipe

SECONDS = 100.0
# The rate stays as it is, so that the weights after some steps do not depend on how many more there may be.
ADAPTING: dict[str, Any] = {
    "steps": 300,
    "batch": 2,
    "lr": 3e-4,
    "warmup": 10,
    "schedule": "constant",
    "ema": 0.95,
    "validate_every": 25,
}
_WHY = {"steps": "all of them", "seconds": "the time was up", "no better": "it got no better"}


@dataclass(frozen=True)
class Adaptation:
    """What came of adapting.

    Attributes:
        model: adapted; the one that was given if that was no better.
        verdict: on the part of the scan that nobody had looked at, before and after.
        improved: whether `model` is the adapted one.
        candidate: the adapted model, whatever the verdict.
        steps: that were done.
        step: the one whose weights were judged, the best by the second part.
        watched: that part's mean two-way distance in point spacings, step by step: [(0, before), (25, ...), ...].
        stopped: why it ended: "steps", "seconds" or "no better".
        seconds: in all.
        points: of the scan, by what they were for: {"training", "watched", "final"}.
        skipped: steps that were not finite.
        recipe, settings: by which it was trained.
    """

    model: Any
    verdict: Verdict
    improved: bool
    candidate: Any
    steps: int
    step: int
    watched: list[tuple[int, float]]
    stopped: str
    seconds: float
    points: dict[str, int]
    skipped: int
    recipe: dict[str, Any]
    settings: dict[str, Any]

    def __str__(self) -> str:
        """Two lines: what was done, and what it brought."""
        v = self.verdict
        did = (
            f"adapted on {self.points['training']:,} points: {self.steps} steps in {self.seconds:.0f} s "
            f"({_WHY[self.stopped]}), best after step {self.step}"
        )
        found = (
            f"{v.points:,} points that were left out and the densified surface: {v.before:.4f} spacings apart before, "
            f"{v.after:.4f} after ({v.change:+.1f} %)"
        )
        if self.improved:
            return f"{did}\n{found}: the adapted network is used"
        if not v.enough:
            why = f"a gain of {v.needed:.1f} % would tell"
        elif v.strays:
            far = [" and ".join(f"{way:.2f}" for way in ways) for ways in (v.worst_before, v.worst_after)]
            why = f"but the farthest points, which were {far[0]} spacings off, are {far[1]} off"
        else:
            why = "but not both ways"
        return f"{did}\n{found}: {why}, so the original network is kept"

    def facts(self) -> dict[str, Any]:
        """For a model card: what JSON can hold."""
        v = self.verdict
        return {
            "kept": "adapted" if self.improved else "original",
            "left_out_before": float(f"{v.before:.5g}"),
            "left_out_after": float(f"{v.after:.5g}"),
            "left_out_error": float(f"{v.error:.3g}"),
            "ways_before": [float(f"{way:.5g}") for way in v.ways_before],
            "ways_after": [float(f"{way:.5g}") for way in v.ways_after],
            "worst_before": [float(f"{way:.4g}") for way in v.worst_before],
            "worst_after": [float(f"{way:.4g}") for way in v.worst_after],
            "steps": self.steps,
            "best_step": self.step,
            "points": self.points,
        }


def adapt(
    model: Any,
    cloud: Any,
    *,
    steps: int | None = None,
    seconds: float | None = SECONDS,
    seed: int = 0,
    device: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Adapt a network to one scan without any ground truth, if it helps there.

    Args:
        model: a name, a checkpoint's folder, or a model object, which stays as it is.
        cloud: the scan: whatever `upsample` takes. Only its positions are used.
        steps: at most so many; by default 300.
        seconds: training ends after so many; None for no limit. Where the clock ends it, the result is not the same
            each time.
        seed: of the parts, the examples and everything else at random.
        device: "cpu", "cuda", "cuda:1", "mps"; by default the CPU.
        recipe, settings: what differs from the model's recipe for scans and from `ADAPTING`; see `Settings`, of which
            `validate_every` says after how many steps it is looked whether it gets better.
        report: told, in a line each, what happens.
        progress: called with (stage, fraction done).

    Returns:
        An `Adaptation`. Its `model` is the adapted one only if the surface that it makes comes nearer to points of the
        scan that it has never seen: by at least 1 %, and by two standard errors; if it does so both ways; and if no
        point lies much farther off than any did before, see `Verdict`.

    Raises:
        OptionError: the model has no network or learns only from the truth, or an option makes no sense.
        CloudError: the cloud has fewer than 512 distinct points, or points that are not finite.
        TrainingError: the loss is not finite any more.
        DependencyError: Lightning Fabric is not installed.
    """
    from ..cloud import as_cloud
    from ..registry import load
    from .adapt_run import Run
    from .adapt_scan import part, regions
    from .devices import make_fabric
    from .seeding import seeded

    learned = load(model)
    first = scan_recipe(learned, model)
    asked, own = as_table(recipe, "recipe"), as_table(settings, "settings")
    refuse_unknown("recipe: there is no option", asked, recipe_options(learned))
    chosen = Settings.of({"seed": seed, **ADAPTING, **own, **({} if steps is None else {"steps": steps})})
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise OptionError(f"seconds must be above 0, or None for no limit, got {seconds!r}")
    fabric = make_fabric(device or "cpu", chosen.precision)
    where = str(cloud) if isinstance(cloud, (str, PathLike)) else "the scan"
    parts = part(as_cloud(cloud)[0].validate(where).positions, chosen.seed, where)
    data = regions(parts.training, chosen.seed)
    options = {**_known(model), **first.for_scan(int(data.about["points"])), **asked}
    (report or _silent)(
        f"adapting on {len(parts.training):,} points; {parts.watched:,} others tell when to stop, "
        f"{parts.final:,} whether it helped"
    )
    candidate = copy.deepcopy(learned)
    with seeded(fabric, chosen.seed):
        run = Run(learned, candidate, make_recipe(candidate, options), data, parts, chosen, fabric)
        found = run.run(seconds, report or _silent, progress or _silent)
    return Adaptation(
        model=candidate if found.verdict.better else learned,
        verdict=found.verdict,
        improved=found.verdict.better,
        candidate=candidate,
        steps=found.steps,
        step=found.step,
        watched=found.watched,
        stopped=found.stopped,
        seconds=found.seconds,
        points={"training": len(parts.training), "watched": parts.watched, "final": parts.final},
        skipped=found.skipped,
        recipe=options,
        settings=chosen.as_dict(),
    )


def scan_recipe(learned: Any, name: Any = None) -> Recipe:
    """The recipe of a model that can be adapted: one that needs no truth, see `Recipe.for_scan`.

    Args:
        name: what the user calls the model.

    Raises:
        OptionError: the model has no network, or its recipe needs the truth; the message says what to do.
    """
    name = name if isinstance(name, (str, PathLike)) else getattr(learned, "name", type(learned).__name__)
    if not isinstance(learned, Learned):
        raise OptionError(f"'{name}' has no network, so it cannot be adapted to a scan; use sspu-net-x4")
    recipe = make_recipe(learned, {})
    if not recipe.learns_from_scans:
        raise OptionError(
            f"'{name}' learns from the truth, which a sparse scan is not, so it cannot be adapted to one: use "
            f"sspu-net-x4, or fine-tune on denser scans or meshes: pcsr finetune {name} dense_scans/ -o runs/mine"
        )
    return recipe


def _known(model: Any) -> dict[str, Any]:
    """The options of the recipe by which a checkpoint was trained; none of a model object."""
    from ..checkpoints import read_config
    from ..registry import find_checkpoint
    from .api import recipe_of

    folder = find_checkpoint(model) if isinstance(model, (str, PathLike)) else None
    return {} if folder is None else recipe_of(folder, read_config(folder))


def _silent(*args: Any) -> None:
    pass
