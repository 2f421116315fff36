"""`run_train`: a model of Open3D-ML's kind through the zoo's trainer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..io import write
from ..training.settings import Settings
from .convert import GROUND_TRUTH, to_cloud
from .datasets import ZooDataset
from .foreign import get_split, read_item

log = logging.getLogger(__name__)


def run_train(pipeline: Any) -> Any:
    """Train the model, starting from its weights, and load the best weights into it.

    Weights of a checkpoint are fine-tuned with the defaults of `pcsr_zoo.training.finetune`; the warm-up takes at most
    a tenth of the steps. Other weights are trained with the defaults of `pcsr_zoo.training.train`.

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

    from ..datasets.scan_set import ScanSet
    from ..training.api import GENTLE, finetune, train
    from ..training.own_scans import scan_file

    model, dataset, folder = pipeline.model, pipeline.dataset, pipeline.training_dir
    model.require_parameters()
    if dataset is None:
        raise OptionError(f"{type(pipeline).__name__} has no data set to train on; pass one as 'dataset'")
    start = pipeline.training_start
    if start is not None and Path(start).resolve() == folder.resolve():
        raise OptionError(
            f"ckpt_path is {start}, the folder that this training writes to; set main_log_dir to another folder, or, "
            "to continue that training, ckpt_path to the weights that it started from"
        )
    if model.zoo.recipe().data_class is ScanSet:
        if not getattr(dataset, "splits", {}).get("training"):
            name = type(model).__name__
            raise OptionError(f"{name} trains on frames of spinning LiDAR; use the data set CloudFolder")
        data = scan_file(dataset.splits["training"], folder / "data", log.info)
    else:
        data = training_file(dataset, folder / "data", log.info)
    settings = {"seed": pipeline.seed, **(pipeline.cfg.training or {})}
    options: dict[str, Any] = {"recipe": model.cfg.recipe or {}, "device": str(pipeline.device), "report": log.info}
    options["restart"] = not model.cfg.is_resume
    if start is None:
        log.info("Training starts from the model's weights, which are not those of a checkpoint")
        outcome = train(model.zoo, data, folder, settings=settings, **options)
    else:
        log.info("Training starts from the checkpoint %s", start)
        most = Settings.of({**GENTLE, **settings}).steps // 10
        outcome = finetune(start, data, folder, settings={"warmup": min(GENTLE["warmup"], most), **settings}, **options)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # the first process may still be writing
    model.load_weights(outcome.folder)
    return outcome


def training_file(dataset: Any, folder: Path, report: Callable[[str], None]) -> Path:
    """The training file of a data set. If it has none, one is made in `folder` of the clouds of the training split.

    As with `pcsr finetune`, all clouds are sampled to the size of the smallest, and a tenth of them, at least one, is
    held out for validation.

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
