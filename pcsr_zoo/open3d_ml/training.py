"""`run_train`: a model of Open3D-ML's kind through the zoo's trainer."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import OptionError

log = logging.getLogger(__name__)


def run_train(pipeline: Any) -> Any:
    """Train the pipeline's model, from the weights that it has, and load what came of it into it.

    The trainer writes to `pipeline.training_dir`: a checkpoint with the best weights by validation, which
    `pcsr_zoo.load` takes, figures for TensorBoard, and the state. A run that was interrupted there goes on, unless the
    model's section says `is_resume: false`. Under torchrun all processes take part.

    Args:
        pipeline: a `ZooPipeline`; `cfg.training` are the trainer's settings, `model.cfg.recipe` the recipe's options.

    Returns:
        A `pcsr_zoo.training.trainer.Outcome`.

    Raises:
        OptionError: the model has no parameters, the data set is not for training, or a setting makes no sense.
        TrainingError: the folder holds another training, or the loss is not finite any more.
        DependencyError: what training needs is not installed.
    """
    import torch

    from ..training.api import train

    model, dataset = pipeline.model, pipeline.dataset
    model.require_parameters()
    if dataset is None:
        raise OptionError(f"{type(pipeline).__name__} was made without a data set to train on")
    report = log.info
    outcome = train(
        model.zoo,
        dataset.training_file(pipeline.training_dir / "data", report),
        pipeline.training_dir,
        recipe=model.cfg.get("recipe") or {},
        settings={"seed": pipeline.seed, **(pipeline.cfg.training or {})},
        device=str(pipeline.device),
        restart=not model.cfg.get("is_resume", True),
        report=report,
    )
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # the first process may still be writing
    model.load_weights(outcome.folder)
    return outcome
