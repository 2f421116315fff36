"""The base classes of models: what a family declares, and the methods that the whole-cloud pipelines call.

A model works on positions in the unit frame (mean at the origin, farthest point at distance 1). It knows nothing of
files, attributes, names, checkpoints, or the Hub; `pcsr_zoo.load` wraps it in a `LoadedModel` that does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..geometry.spinning.scan import Floats, Integers, Scan
    from .recipe import Recipe

Progress = Callable[[str, float], None]

# The tasks of models.
TASKS = ("sample", "upsample", "recover")

# How much of a cloud a model processes at once. This decides which pipeline runs it.
KINDS = {
    "local": "processes the neighborhood of each candidate; clouds of any size, without patches",
    "whole cloud": "processes the whole cloud in one pass",
    "patches": "processes overlapping patches of the cloud, whose results are merged",
    "subset": "selects points of the cloud",
    "scan lines": "processes the rings and columns of a spinning LiDAR scan",
}

# How a network's patches become one cloud, see `pipelines.patches.merging`.
MERGES = ("fps", "owner")


def ignore(*args: Any) -> None:
    """A callback for progress or reports that does nothing."""


class Paper(NamedTuple):
    """The publication of a family. Every field is copied from a source.

    Attributes:
        method: the method's name in published tables.
        venue: conference and year, such as "IJCAI 2021".
        bibtex: the BibTeX entry to cite.
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
    """Settings of a run, which are the same for all of its steps.

    Attributes:
        seed: seed of all random numbers.
        device: a torch device, as a string.
        progress: called with (stage, fraction done).
        noise: the estimated standard deviation of the input's noise, in units of its point spacing; 0 for a clean
            cloud.
        temperature: factor on the standard deviation of the latent variables that a generative model draws; 0 for the
            mean.
        normals: (A, 3), the normals of the input points, if the cloud has any.
        cache: values that a model keeps for the whole run, under its own keys.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Progress = field(default=ignore)
    noise: float = 0.0
    temperature: float = 1.0
    normals: np.ndarray | None = field(default=None, compare=False)
    cache: dict[str, Any] = field(default_factory=dict, compare=False)


class Model(ABC):
    """What a family declares on its class. Tables, cards, citations and example configurations use it.

    Attributes:
        name: the name by which `load` finds the class.
        aliases: other names of the method in the literature, by which `load` finds it, too.
        summary: one line.
        source: the paper in a few words, or "ours".
        kind: a key of `KINDS`.
        ratios: the ratios of trained checkpoints; empty for any ratio.
        paper: the publication that the class implements, or None.
        published: task id -> the paper's own row.
        min_points: the smallest number of distinct points that the model accepts.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str]
    source: ClassVar[str]
    kind: ClassVar[str] = "local"
    ratios: ClassVar[tuple[int, ...]] = ()
    paper: ClassVar[Paper | None] = None
    published: ClassVar[Mapping[str, PublishedRow]] = {}
    min_points: ClassVar[int] = 1


class Upsampler(Model):
    """A model that makes new points on the surface that a cloud samples.

    Attributes:
        max_step: the largest ratio of one step; larger ratios take several steps.
        turns: whether the result turns with the cloud.
    """

    min_points: ClassVar[int] = 2
    turns: ClassVar[bool] = True
    max_step: ClassVar[float] = 4.0

    @abstractmethod
    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        """Candidates (M, 3) for new points, in any order. The pipeline selects among them.

        Args:
            points: (N, 3) float64, distinct, in the unit frame: the present cloud.
            support: (A, 3), the input points, which define the surface (`points` in the first step).
            count: how many will be selected. With fewer candidates, the pipeline takes a further step.
            context: the settings of the run.
        """

    def relax(self, new_points: np.ndarray, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        """The selected new points (F, 3), moved on the surface so that they are evenly spaced among `points` (N, 3)."""
        return new_points

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        """Input points (N, 3), moved onto the surface of `support`, for runs that do not keep the input."""
        return points


class PatchUpsampler(Model):
    """A model that makes r new points for each point of a patch. All points of the result are new.

    Attributes:
        patch_size: points of a patch.
        overlap: how many patches a point is in, on average.
        merge: one of `MERGES`.
        ratio: r.
    """

    kind: ClassVar[str] = "patches"
    min_points: ClassVar[int] = 2
    turns: ClassVar[bool] = False  # see `Upsampler`
    patch_size: ClassVar[int] = 256
    overlap: ClassVar[float] = 3.0
    merge: ClassVar[str] = "fps"
    ratio: int

    @abstractmethod
    def expand(self, patches: np.ndarray, context: Context) -> np.ndarray:
        """New points (B, n, r, 3) of patches (B, n, 3) with mean 0 and radius 1; n is smaller in small clouds."""


class ScanLineUpsampler(Model):
    """A model that makes new rings between the rings of a spinning LiDAR scan. Measured points are kept.

    Attributes:
        least_confidence: rays of less confidence get no point.
    """

    kind: ClassVar[str] = "scan lines"
    min_points: ClassVar[int] = 128
    least_confidence: ClassVar[float] = 0.5

    @abstractmethod
    def ranges(
        self, scan: Scan, below: Integers, elevation: Floats, azimuth: Floats, context: Context
    ) -> tuple[Floats, Floats]:
        """Ranges (M,) of rays between two rings, in units of the cloud, and confidences (M,) from 0 to 1.

        Args:
            scan: the scan, see `geometry.spinning.scan`.
            below: (M,), the ring next below each ray.
            elevation, azimuth: (M,), radians in the frame of the sensor.
            context: the settings of the run.
        """


class Sampler(Model):
    """A model that selects points of a cloud, or makes fewer points that represent it.

    Attributes:
        moves: whether `sampled_points` gives points that are not points of the cloud.
    """

    moves: ClassVar[bool] = False

    @abstractmethod
    def select(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """Distinct indices (count,) into points (N, 3) in the unit frame, 1 <= count <= N."""

    def sampled_points(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """Sampled points (count, 3) of points (N, 3): the selected ones, unless the class `moves`."""
        return points[self.select(points, count, context)]


class Recoverer(Model):
    """A mixin for a `Sampler` or an `Upsampler` that reconstructs the dense cloud of its samples.

    Attributes:
        ratio: the ratio that it was trained for.
    """

    ratio: float

    @abstractmethod
    def reconstruct(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        """A dense cloud (count, 3) of the sampled points (N, 3), count >= N."""


class Learned(Model):
    """A mixin for models with a network, which can be trained and saved. It goes before `Upsampler` or `Sampler`.

    Attributes:
        arguments: constructor arguments that JSON can hold; `cls(**arguments)` is the same model with random weights.
        network: the torch module, by default on the CPU and in evaluation mode.
        dtypes: floating-point types in which the network computes; the first one is used for training.
        figures: what each figure of the recipe's validation means, for the card.
        trained: whether the weights come from a checkpoint or a training; `load` refuses random weights.
    """

    arguments: dict[str, Any]
    network: Any
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    figures: ClassVar[Mapping[str, str]] = {}
    trained: bool = False

    def recipe(self, **options: Any) -> Recipe:
        """The training recipe of this model, see `models.recipe`.

        Raises:
            OptionError: an option is invalid.
        """
        raise NotImplementedError


def class_of(model: Any) -> type:
    """The class of a model object; a class is returned as it is."""
    return model if isinstance(model, type) else type(model)


def tasks_of(model: Any) -> tuple[str, ...]:
    """The tasks of a model or a model class, in the order of `TASKS`; empty for anything that is not a model.

    Upsamplers of points also recover: they keep the sampled points and add others, or make all points anew.
    """
    points = (Upsampler, PatchUpsampler)
    kinds = {"sample": (Sampler,), "recover": (Recoverer, *points), "upsample": (*points, ScanLineUpsampler)}
    return tuple(task for task in TASKS if issubclass(class_of(model), kinds[task]))


def is_learned(model: Any) -> bool:
    """Whether a model or a model class has a network, see `Learned`."""
    return issubclass(class_of(model), Learned)
