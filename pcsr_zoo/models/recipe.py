"""The base class of training recipes: a model's networks, examples, losses and validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..datasets.training_set import TrainingSet
from ..errors import OptionError

if TYPE_CHECKING:
    import torch

Examples = dict[str, Any]  # tensors by name


class Recipe(ABC):
    """How a model is trained, made by `model.recipe(**options)`. The trainer does what is common to all models.

    Each step optimizes every part in turn: a plain network has one part, an adversarial pair has two. The checkpoint
    and the validation use the model's network with the moving average of its weights. Parts must be this network or
    modules in it; further parts, such as a discriminator, are not saved in the checkpoint.

    Attributes:
        parts: names of the parts.
        data_class: the class that reads the training file, `TrainingSet` or one with its interface.
    """

    parts: ClassVar[tuple[str, ...]] = ("network",)
    data_class: ClassVar[Any] = TrainingSet

    @abstractmethod
    def networks(self) -> dict[str, torch.nn.Module]:
        """The module of each part; parts share no parameters. The progress bar shows the first part's loss."""

    @abstractmethod
    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        """Examples `first` to `first + count - 1` of a step, as tensors on the CPU.

        The same arguments give the same examples, in any process and in any order of calls.
        """

    @abstractmethod
    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of a part, a tensor of shape (), and further values of shape () to log.

        Args:
            part: the part to optimize.
            networks: the modules of `networks()`, wrapped for the devices: call these.
            examples: the examples, on the device.
            done: the fraction of all steps that is done, for losses that change during training.
        """

    @abstractmethod
    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Scores on `data.held_out`. The first one selects the best weights: lower is better.

        Args:
            networks: the modules of `networks()` in evaluation mode, with averaged weights where the model has them.
            data: the training set.
            seed: seed of all random numbers.
            device: the device of the networks.
        """

    def for_scan(self, points: int) -> dict[str, Any]:
        """Options of this recipe for training on a single scan without ground truth (`pcsr finetune`).

        Only a recipe that needs no ground truth overrides this method.

        Args:
            points: number of points in each region of the scan; the regions are the training shapes.

        Raises:
            OptionError: the recipe needs ground truth.
        """
        raise OptionError(
            f"{type(self).__name__} needs ground truth, and a single scan has none; use meshes or several dense scans"
        )

    @property
    def learns_from_scans(self) -> bool:
        """Whether the recipe needs no ground truth, so that it can train on a single scan."""
        return type(self).for_scan is not Recipe.for_scan


def weighted(
    weights: Mapping[str, float], terms: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted sum of loss terms of shape (), and the terms and the sum without gradients, to log."""
    import torch

    loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return loss, {name: term.detach() for name, term in {**terms, "loss": loss}.items()}
