"""The contract of every model: what the whole-cloud pipeline asks of it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .learned import Learned as Learned

Progress = Callable[[str, float], None]

# What models do.
TASKS = ("sample", "upsample", "recover")


@dataclass(frozen=True)
class Context:
    """What a run decides for all of its steps.

    Attributes:
        seed: of everything that is drawn at random.
        device: a torch device, as a string.
        progress: called with (stage, fraction done).
        noise: the estimated noise of the input, in units of its point spacing; 0 for a clean cloud.
        temperature: of what a generative model draws: the factor on its standard deviation, 0 for none.
        cache: what a model computed once for the whole run, under keys of its own.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Progress = field(default=lambda stage, fraction: None)
    noise: float = 0.0
    temperature: float = 1.0
    cache: dict[str, Any] = field(default_factory=dict, compare=False)


class _Recovers:
    """The method of all that recover."""

    def recover(self, x: Any, ratio: float | None = None, **options: Any) -> Any:
        """`pcsr_zoo.recover` with this model."""
        from ..pipelines.recovery import recover

        return recover(x, ratio, model=self, **options)  # type: ignore[arg-type]


class Upsampler(_Recovers, ABC):
    """Makes new points on the surface that a cloud samples."""

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    min_points: ClassVar[int] = 2
    max_step: ClassVar[float] = 4.0

    @abstractmethod
    def propose(self, points: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        """Candidates (M, 3) for new points, in no particular order; any M, the pipeline selects.

        Args:
            points: (N, 3) float64, distinct, in the unit frame: the cloud so far.
            anchors: (A, 3), the points that were measured: the surface is theirs (`points` on the first step).
            wanted: how many will be selected; with fewer candidates the pipeline takes a further step.
            context: the run.
        """

    def relax(self, fresh: np.ndarray, current: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        """The selected new points (F, 3), moved on the surface to lie more evenly among `current` (N, 3)."""
        return fresh

    def refine(self, points: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        """Input points (N, 3) moved onto the surface of `anchors`, for those who do not keep them as they are."""
        return points

    def upsample(self, x: Any, ratio: float = 4, **options: Any) -> Any:
        """`pcsr_zoo.upsample` with this model."""
        from ..pipelines.resample import upsample

        return upsample(x, ratio, model=self, **options)


class Sampler(ABC):
    """Chooses some of the points of a cloud, or makes fewer that stand for it.

    Attributes:
        moves: whether `place` gives points that are not the cloud's own.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    min_points: ClassVar[int] = 1
    moves: ClassVar[bool] = False

    @abstractmethod
    def choose(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """n distinct indices into (N, 3) points in the unit frame, 1 <= n <= N."""

    def place(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """n points (n, 3) that stand for (N, 3) points in the unit frame; the chosen ones, unless the class `moves`."""
        return points[self.choose(points, n, context)]

    def sample(self, x: Any, ratio: float | None = None, **options: Any) -> Any:
        """`pcsr_zoo.sample` with this model."""
        from ..pipelines.resample import sample

        return sample(x, ratio, model=self, **options)


class Recoverer(_Recovers, ABC):
    """Makes a sampled cloud dense again; mixed into a `Sampler` or an `Upsampler` that was made for it.

    Attributes:
        ratio: how many times denser, by its training.
    """

    ratio: float

    @abstractmethod
    def rebuild(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """n points (n, 3) of the surface that (N, 3) sampled points in the unit frame stand for, n >= N."""


def tasks_of(model: Any) -> tuple[str, ...]:
    """What a model or a model class does, of `TASKS`, in their order; empty for what is no model.

    Every upsampler recovers too, with the sampled points kept.
    """
    cls = model if isinstance(model, type) else type(model)
    kinds = {"sample": (Sampler,), "recover": (Recoverer, Upsampler), "upsample": (Upsampler,)}
    return tuple(task for task in TASKS if issubclass(cls, kinds[task]))


def is_learned(model: Any) -> bool:
    """Whether a model or a model class has a network, see `Learned`."""
    module = sys.modules.get(f"{__package__}.learned")  # where nobody has imported it, nothing derives from it
    return module is not None and issubclass(model if isinstance(model, type) else type(model), module.Learned)


def __getattr__(name: str) -> Any:
    """`Learned`, imported for those who ask for it: the Hub's client, of which it is a part, takes half a second."""
    if name == "Learned":
        from .learned import Learned

        return Learned
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
