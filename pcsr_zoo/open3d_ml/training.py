"""`run_train`: a model of Open3D-ML's kind through the zoo's trainer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..io import write
from .convert import GROUND_TRUTH, to_cloud
from .datasets import ZooDataset
from .foreign import get_split, read_item

log = logging.getLogger(__name__)


def run_train(pipeline: Any) -> Any:
    """Train the model, starting from its weights, and load the best weights into it.

    The trainer writes to `pipeline.training_dir`: a checkpoint with the best weights by validation, which
    `pcsr_zoo.load` takes, figures for TensorBoard, and the state. An interrupted training in this folder is continued,
    unless the model has `is_resume: false`. Under torchrun all processes take part.

    Args:
        pipeline: a `ZooPipeline`; `cfg.training` are the trainer's settings, `model.cfg.recipe` the recipe's options.

    Returns:
        A `pcsr_zoo.training.trainer.Outcome`.

    Raises:
        OptionError: the model has no parameters, the data set is not for training, or a setting is wrong.
        TrainingError: the folder has another training, or the loss is not finite.
        DependencyError: a package that training needs is not installed.
    """
    import torch

    from ..training.api import train

    model, dataset = pipeline.model, pipeline.dataset
    model.require_parameters()
    if dataset is None:
        raise OptionError(f"{type(pipeline).__name__} has no data set to train on; pass one as 'dataset'")
    outcome = train(
        model.zoo,
        training_file(dataset, pipeline.training_dir / "data", log.info),
        pipeline.training_dir,
        recipe=model.cfg.recipe or {},
        settings={"seed": pipeline.seed, **(pipeline.cfg.training or {})},
        device=str(pipeline.device),
        restart=not model.cfg.is_resume,
        report=log.info,
    )
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # the first process may still be writing
    model.load_weights(outcome.folder)
    return outcome


def training_file(dataset: Any, folder: Path, report: Callable[[str], None]) -> Path:
    """The training file of a data set. If it has none, one is made in `folder` of the clouds of the training split.

    As with `pcsr finetune`, a tenth of the clouds is held out for validation.

    Raises:
        OptionError: the data set is not for training, or has no training split.
        PcsrError: an item cannot be read or written; the message names it.
    """
    if isinstance(dataset, ZooDataset):
        return dataset.training_file(folder, report)
    from ..training.own_data import training_file as file_of_scans

    split, scans = get_split(dataset, "training"), set()
    for index in range(len(split)):
        name, _, data = read_item(dataset, split, index)
        dense = data if data.get(GROUND_TRUTH) is None else {"point": data[GROUND_TRUTH]}
        scan = folder / "scans" / f"{name}.ply"
        scan.parent.mkdir(parents=True, exist_ok=True)
        write(to_cloud(dense)[0].validate(name), scan)
        scans.add(scan)
    if not scans:
        raise OptionError(f"the training split of the data set '{dataset.name}' is empty")
    return file_of_scans(sorted(scans), folder, report)
