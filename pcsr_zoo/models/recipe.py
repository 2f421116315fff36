"""The contract between a model and the trainer: its networks, its examples, its losses, its validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import OptionError

if TYPE_CHECKING:
    import torch

    from ..datasets.training_set import TrainingSet

Examples = dict[str, Any]  # tensors by name


class Recipe(ABC):
    """How one model is trained; made by `model.recipe(**options)`. The trainer does all that models share.

    Each step optimizes every part in turn: a plain network has one part, an adversarial pair two. What ships, and is
    validated, is the model's network with the running average of its weights. Parts that are that network, or modules
    in it, are what changes in it; other parts, such as a critic, help and are forgotten.
    """

    parts: ClassVar[tuple[str, ...]] = ("network",)

    @abstractmethod
    def networks(self) -> dict[str, torch.nn.Module]:
        """The module of each part; no two share a parameter. The first part's loss is the one that is shown."""

    @abstractmethod
    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        """Examples number first to first + count - 1 of a step, as tensors on the CPU.

        The same arguments give the same examples, in any process, whatever came before.
        """

    @abstractmethod
    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss () that `part` is to lower, and figures () to log.

        Args:
            networks: as `networks`, wrapped for the devices: call these.
            examples: on the device.
            done: the fraction of all steps that is done, for losses that change on the way.
        """

    @abstractmethod
    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Figures on `data.held_out`. By the first one the best weights are chosen: lower is better.

        Args:
            networks: as `networks`, in evaluation mode; those that ship have the averaged weights.
        """

    def for_scan(self, points: int) -> dict[str, Any]:
        """Options of this recipe for learning from a single scan, of which only the points are known (`pcsr finetune`).

        Only a recipe that needs no truth has them, and overrides this method.

        Args:
            points: of each of the regions that the scan is cut into, which are the shapes to learn from.

        Raises:
            OptionError: the recipe needs the truth, as all do that do not say otherwise.
        """
        raise OptionError(f"{type(self).__name__} learns from the truth, which a single scan is not")

    @property
    def learns_from_scans(self) -> bool:
        """Whether it needs no truth: it has options `for_scan`."""
        return type(self).for_scan is not Recipe.for_scan
