"""One training step: losses, gradients and optimizers, over all processes.

Gradients are averaged here with one all-reduce for each part, and not by DistributedDataParallel, which requires that
`forward` is called once and uses every parameter in every step. Recipes may alternate parts, call other methods, or not
use a head. Overlapping communication with computation would not speed up networks of this size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..models.recipe import Examples, Recipe
from .devices import on_device
from .ema import EMA
from .optimizers import make_optimizer
from .schedule import rate_factor
from .settings import Settings


@dataclass
class Step:
    """The result of a step.

    Attributes:
        figures: values to log: part/loss, part/gradient, part/lr, and those of the recipe (of this process).
        finite: whether all losses and gradients were finite. A part with others was not changed.
        stop: whether any process was asked to stop.
    """

    figures: dict[str, Any]
    finite: bool
    stop: bool


class Engine:
    """The networks of a recipe and their optimizers, on the devices.

    Attributes:
        modules: the bare networks, part -> module.
        optimizers: part -> optimizer.
    """

    def __init__(self, recipe: Recipe, settings: Settings, fabric: Any) -> None:
        self.recipe, self.settings, self.fabric = recipe, settings, fabric
        found = recipe.networks()
        self.modules = {part: found[part].train() for part in recipe.parts}
        self._networks = {part: on_device(fabric, module) for part, module in self.modules.items()}
        self.optimizers = {
            part: fabric.setup_optimizers(make_optimizer(module, part, settings))
            for part, module in self.modules.items()
        }

    def step(self, pieces: Sequence[Examples], step: int, stop: bool = False) -> Step:
        """Optimize every part once, on the mean loss of all pieces in all processes.

        Args:
            pieces: the examples of this process, in `accumulate` pieces.
            step: the number of the step.
            stop: whether this process was asked to stop after it.
        """
        torch.manual_seed(step_seed(self.settings.seed, step, self.fabric.global_rank))
        on_it = [self.fabric.to_device(piece) for piece in pieces]
        buffers = [buffer for module in self.modules.values() for buffer in module.buffers()]
        before = [buffer.clone() for buffer in buffers]
        figures: dict[str, Any] = {}
        finite = True
        for part in self.recipe.parts:
            with self._only(part):
                loss, told = self._gradient(part, on_it, step / self.settings.steps)
                loss, stop = self._average(part, loss, stop)
                rate = self._set_rate(part, step)
                norm = self._update(part, loss)
            good = bool(torch.isfinite(norm + loss))
            finite &= good
            figures |= {f"{part}/{name}": value for name, value in told.items()}
            figures |= {f"{part}/loss": loss, f"{part}/gradient": norm, f"{part}/lr": rate}
        if not finite:  # restore running statistics, which may be NaN
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return Step(figures, finite, stop)

    def _gradient(self, part: str, pieces: Sequence[Examples], done: float) -> tuple[torch.Tensor, dict[str, Any]]:
        self.optimizers[part].zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.fabric.device)
        figures: dict[str, Any] = {}
        for piece in pieces:
            loss, told = self.recipe.loss(part, self._networks, piece, done)
            self.fabric.backward(loss / len(pieces))
            total += loss.detach().float() / len(pieces)
            for name, value in told.items():
                value = value.detach() if isinstance(value, torch.Tensor) else value
                figures[name] = figures.get(name, 0.0) + value / len(pieces)
        return total, figures

    def _average(self, part: str, loss: torch.Tensor, stop: bool) -> tuple[torch.Tensor, bool]:
        """Average gradients, running statistics and the loss over the processes."""
        if self.fabric.world_size == 1:
            return loss, stop
        wanted = [p for p in self.modules[part].parameters() if p.requires_grad]
        values = [p.grad if p.grad is not None else torch.zeros_like(p) for p in wanted]
        values += [buffer for buffer in self.modules[part].buffers() if buffer.is_floating_point()]
        values += [torch.stack([loss, loss.new_tensor(float(stop))])]
        used = loss.new_tensor([float(p.grad is not None) for p in wanted])
        flat = torch.cat([*(value.detach().flatten() for value in values), used])
        flat = self.fabric.all_reduce(flat, reduce_op="mean")
        means = flat.split([*(value.numel() for value in values), len(used)])
        anywhere = means[-1].tolist()
        for p, mean, share in zip(wanted, means, anywhere, strict=False):
            if share > 0:  # unused by all processes: no gradient, as with a single process
                p.grad = mean.view_as(p).clone()
        for value, mean in zip(values[len(wanted) : -1], means[len(wanted) : -2], strict=True):
            value.copy_(mean.view_as(value))
        return means[-2][0], bool(means[-2][1] > 0)

    def _set_rate(self, part: str, step: int) -> float:
        rate = self.settings.part_lr.get(part, self.settings.lr) * rate_factor(self.settings, step)
        for group in self.optimizers[part].param_groups:
            group["lr"] = rate
        return rate

    def _update(self, part: str, loss: torch.Tensor) -> torch.Tensor:
        """Clip and step if loss and gradient are finite. Returns the norm of the gradient before clipping."""
        module, optimizer = self.modules[part], self.optimizers[part]
        norm = self.fabric.clip_gradients(
            module, optimizer, max_norm=self.settings.clip or float("inf"), error_if_nonfinite=False
        )
        scaler = self.scaler
        if bool(torch.isfinite(norm + loss)):
            optimizer.step()
        elif scaler is not None:
            scaler.update()  # lowers the loss scale
        return norm

    @property
    def scaler(self) -> Any:
        """The gradient scaler of 16-bit training, or None."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    @contextmanager
    def _only(self, part: str) -> Iterator[None]:
        """A context with gradients for this part's parameters only. Parameters frozen by the recipe stay frozen."""
        others = [p for name, m in self.modules.items() if name != part for p in m.parameters() if p.requires_grad]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def networks_for_validation(self, average: EMA) -> Mapping[str, torch.nn.Module]:
        """All modules, with averaged weights where `average` has them."""
        found = {part: average.counterpart(module) for part, module in self.modules.items()}
        return {part: self.modules[part] if module is None else module for part, module in found.items()}


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for torch that differs from step to step and process to process."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))
