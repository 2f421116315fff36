"""The contract of every model: what a family declares about itself, and what the whole-cloud pipelines ask of it.

A model works on positions in the unit frame (mean at the origin, farthest point at distance 1). It knows nothing of
files, attributes, names, checkpoints, or the Hub: `pcsr_zoo.load` wraps it in a `LoadedModel`, which does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .recipe import Recipe

Progress = Callable[[str, float], None]

# What models do.
TASKS = ("sample", "upsample", "recover")

# How much of a cloud a model sees at once, and with it the pipeline that runs it.
KINDS = {
    "local": "sees the neighborhood of each candidate; clouds of any size, nothing is cut or merged",
    "whole cloud": "takes the whole cloud in one pass",
    "subset": "selects among the points of the cloud",
}


def ignore(*args: Any) -> None:
    """A callback for progress or reports that nobody asked for."""


class Paper(NamedTuple):
    """The publication behind a family; every field is copied from a source.

    Attributes:
        method: the name under which its rows stand in published tables.
        venue: conference and year, such as "IJCAI 2021".
        bibtex: the entry to cite.
    """

    method: str
    venue: str
    bibtex: str


class PublishedRow(NamedTuple):
    """A row of a published table. `cd`, `hd`, `p2f` are times 1000; None where the source has no value."""

    name: str
    cd: float
    hd: float
    p2f: float | None
    source: str


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
    progress: Progress = field(default=ignore)
    noise: float = 0.0
    temperature: float = 1.0
    cache: dict[str, Any] = field(default_factory=dict, compare=False)


class Model(ABC):
    """What a family declares on its class; tables, cards, citations and example configurations are made from it.

    Attributes:
        name: under which `load` finds the class.
        summary: one line.
        source: the paper, in a few words, or "ours".
        kind: a key of `KINDS`.
        ratios: that trained checkpoints are made for; empty for any ratio.
        paper: the publication that the class implements, or None.
        published: task id -> the paper's own row.
        min_points: the fewest distinct points that a cloud must have.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    kind: ClassVar[str] = "local"
    ratios: ClassVar[tuple[int, ...]] = ()
    paper: ClassVar[Paper | None] = None
    published: ClassVar[Mapping[str, PublishedRow]] = {}
    min_points: ClassVar[int] = 1


class Upsampler(Model):
    """Makes new points on the surface that a cloud samples.

    Attributes:
        max_step: the largest ratio of one step; larger ratios take several.
    """

    min_points: ClassVar[int] = 2
    max_step: ClassVar[float] = 4.0

    @abstractmethod
    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        """Candidates (M, 3) for new points, in no particular order; any M, the pipeline selects.

        Args:
            points: (N, 3) float64, distinct, in the unit frame: the cloud so far.
            support: (A, 3), the measured points, which define the surface (`points` on the first step).
            count: how many will be selected; with fewer candidates the pipeline takes a further step.
            context: the run.
        """

    def relax(self, new_points: np.ndarray, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        """The selected new points (F, 3), moved on the surface to lie more evenly among `points` (N, 3)."""
        return new_points

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        """Input points (N, 3), moved onto the surface of `support`, for runs that do not keep them as they are."""
        return points


class Sampler(Model):
    """Selects some of the points of a cloud, or makes fewer points that stand for it.

    Attributes:
        moves: whether `sampled_points` gives points that are not the cloud's own.
    """

    moves: ClassVar[bool] = False

    @abstractmethod
    def select(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """`count` distinct indices into (N, 3) points in the unit frame, 1 <= count <= N."""

    def sampled_points(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """`count` points (count, 3) that stand for (N, 3) points: the selected ones, unless the class `moves`."""
        return points[self.select(points, count, context)]


class Recoverer(Model):
    """Makes a sampled cloud dense again; mixed into a `Sampler` or an `Upsampler` that was made for it.

    Attributes:
        ratio: how many times denser, by its training.
    """

    ratio: float

    @abstractmethod
    def reconstruct(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """`count` points (count, 3) of the surface that (N, 3) sampled points stand for, count >= N."""


class Learned(Model):
    """What a model with a network adds, mixed in before `Upsampler` or `Sampler`: it can be trained and saved.

    Attributes:
        arguments: constructor arguments that JSON can hold; `cls(**arguments)` is the same model with random weights.
        network: the torch module, on the CPU in evaluation mode unless somebody moved it.
        dtypes: floating-point types in which the network computes; it is trained in the first one.
        trained: whether the weights come from a checkpoint or a training; `load` refuses random weights.
    """

    arguments: dict[str, Any]
    network: Any
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    trained: bool = False

    def recipe(self, **options: Any) -> Recipe:
        """How this model is trained, see `models.recipe`.

        Raises:
            OptionError: an option makes no sense.
        """
        raise NotImplementedError


def class_of(model: Any) -> type:
    """The class of a model object; a class itself."""
    return model if isinstance(model, type) else type(model)


def tasks_of(model: Any) -> tuple[str, ...]:
    """What a model or a model class does, of `TASKS`, in their order; empty for anything that is not a model.

    Every upsampler recovers too, with the sampled points kept.
    """
    kinds = {"sample": (Sampler,), "recover": (Recoverer, Upsampler), "upsample": (Upsampler,)}
    return tuple(task for task in TASKS if issubclass(class_of(model), kinds[task]))


def is_learned(model: Any) -> bool:
    """Whether a model or a model class has a network, see `Learned`."""
    return issubclass(class_of(model), Learned)
