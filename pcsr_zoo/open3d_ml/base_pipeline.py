"""What our pipelines share: they join a model with a data set for inference, test and training.

A checkpoint is a folder (`pcsr_zoo.checkpoints.folder`) with its weights as safetensors; results are files that any
viewer opens.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, ClassVar

from ..cards.card import save_with_card
from ..catalog import resolve
from ..checkpoints.config import WEIGHTS
from ..checkpoints.folder import is_checkpoint
from ..errors import OptionError
from ..metrics.conventions import get_convention
from .bases import BasePipeline
from .logfile import log_file
from .models import ZooModel
from .testing import Problem, run_all

log = logging.getLogger(__name__)

# Keys of a pipeline's section that Open3D-ML's configurations and scripts use and that say nothing here.
_OPEN3D_KEYS = frozenset(
    {
        *(
            "batch_size",
            "test_batch_size",
            "val_batch_size",
            "max_epoch",
            "max_epochs",
            "save_ckpt_freq",
            "num_workers",
        ),
        *("cfg_tb", "device_ids", "distributed", "optimizer", "pin_memory", "rank", "scheduler_gamma", "split"),
        *("summary", "train_sum_dir"),
    }
)


class ZooPipeline(BasePipeline):
    """What the three pipelines share.

    Args:
        model: of a class that `get_module("model", name, "torch")` gives.
        dataset: for `run_test` and `run_train`.
        name: of the pipeline.
        main_log_dir: below it a folder for this model and data set, `cfg.logs_dir`: logs, results, checkpoints.
        device: "cpu" or "cuda"; an accelerator where there is one by default.
        ratio: how many times denser (thinner, for sampling) the result is.
        n: the number of its points instead.
        seed: of everything drawn at random, a number or a numpy generator.
        convention: of the distances that `run_test` reports, an id of `pcsr_zoo.metrics.CONVENTIONS`.
        training: settings of `run_train`, see `pcsr_zoo.training.settings.Settings`.
        others: further options of the pipeline, and what Open3D-ML's scripts pass; in `cfg`.

    Raises:
        OptionError: the model cannot do what the pipeline is for, or an unknown convention.
    """

    verb: ClassVar[str]
    own_options: ClassVar[dict[str, Any]] = {}  # of this pipeline, with their defaults

    def __init__(
        self,
        model: Any,
        dataset: Any = None,
        name: str | None = None,
        *,
        main_log_dir: str = "./logs/",
        device: Any = None,
        ratio: float = 4,
        n: int | None = None,
        seed: Any = 0,
        convention: str = "pugan-2019",
        training: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        if not isinstance(model, ZooModel):
            raise OptionError(f"{type(self).__name__} takes a model of the zoo, got {type(model).__name__}")
        for key in others.keys() - self.own_options.keys() - _OPEN3D_KEYS:
            known = ", ".join([*self.own_options, "ratio", "n", "seed", "convention", "training"])
            log.warning("%s has no option '%s' and leaves it aside; it has: %s", type(self).__name__, key, known)
        # Open3D-ML makes the folders when the rank is 0, and processes that torchrun starts all think that theirs is.
        rank = int(os.environ.get("RANK", 0))
        options = {"rank": rank, **self.own_options, **others}
        super().__init__(
            model=model,
            dataset=dataset,
            name=name or type(self).__name__,
            main_log_dir=str(main_log_dir),
            device=device,
            ratio=ratio,
            n=n,
            seed=seed,
            convention=get_convention(convention).id,
            training=training,
            **options,
        )
        Path(self.cfg.logs_dir).mkdir(parents=True, exist_ok=True)
        self.seed = seed if isinstance(seed, int) else int(self.rng.integers(2**31))
        model.perform(self.verb)

    # -- inference ----------------------------------------------------------------------------------------------------

    def run_inference(self, data: Any) -> dict[str, Any]:
        """The result for one cloud.

        Args:
            data: {"point": (N, 3), "feat": (N, C) or None, ...}, or whatever `pcsr_zoo.upsample` takes.

        Returns:
            {"point": (M, 3) in the dtype of the input's, "feat": (M, C) or None, ...}; further arrays of the input that
            have a row for each point travel along.

        Raises:
            CloudError, OptionError: as `pcsr_zoo.upsample` and `sample`.
        """
        size = {"ratio": self.cfg.ratio} if self.cfg.n is None else {"n": self.cfg.n}
        return self._infer(self.verb, data, **size, **self._options())

    def _options(self) -> dict[str, Any]:
        """Options of the verb beside the size."""
        return {}

    def _infer(self, verb: str, data: Any, **options: Any) -> dict[str, Any]:
        import torch

        self._prepare()
        model = self.model
        model.perform(verb, seed=self.seed, device=str(self.device), **options)
        model.inference_begin(data)
        with torch.no_grad():
            while True:
                inputs = model.inference_preprocess()
                if model.inference_end(inputs, model(inputs)):
                    return model.inference_result

    def _prepare(self) -> None:
        """The model on the device, in evaluation mode; random weights are replaced by trained ones, or refused."""
        if self.model.is_untrained:
            self.load_ckpt()
            self.model.require_trained()
        self.model.to(self.device)
        self.model.eval()

    # -- test ---------------------------------------------------------------------------------------------------------

    def problem(self, data: dict[str, Any]) -> Problem:
        """What `run_test` makes of an item of the data set."""
        raise NotImplementedError

    def run_test(self) -> dict[str, Any]:
        """Run over the test split: save each result with the data set, measure it where there is a ground truth.

        Returns:
            What is also written to a .json beside the log, see `testing.run_all`; kept as `metric_test`.

        Raises:
            OptionError: there is no data set, or its items do not suit the pipeline.
            FileError: an item cannot be read or a result not written.
        """
        if self.dataset is None:
            raise OptionError(f"{type(self).__name__} was made without a data set to test on")
        self._prepare()
        with log_file(self.cfg.logs_dir, "test") as path:
            log.info("DEVICE : %s", self.device)
            self.metric_test = run_all(self, self.dataset, path.with_suffix(".json"))
        return self.metric_test

    # -- training and checkpoints -------------------------------------------------------------------------------------

    def run_train(self) -> Any:
        """Train the model on the data set with the zoo's trainer, see `training.run_train`."""
        from .training import run_train

        with log_file(self.cfg.logs_dir, "train", self.rank):
            log.info("DEVICE : %s", self.device)
            return run_train(self)

    @property
    def training_dir(self) -> Path:
        """The folder of `run_train`: a checkpoint with the best weights, and what a resumed run needs."""
        return Path(self.cfg.logs_dir, "training")

    def load_ckpt(self, ckpt_path: Any = None, is_resume: bool = True) -> Path | None:
        """Load weights into the model, in place.

        Args:
            ckpt_path: a checkpoint's name or its folder. None: the latest that this pipeline trained or saved, else the
                one that is published under the model's name, else nothing happens.
            is_resume: False: with no ckpt_path, keep the weights as they are.

        Returns:
            The folder, or None where nothing was loaded.

        Raises:
            OptionError, FileError: the named checkpoint does not fit the model, or cannot be read.
        """
        if ckpt_path is not None:
            self.model.load_weights(ckpt_path)
            folder = resolve(ckpt_path).folder
            log.info("Loaded checkpoint %s", folder)
            return folder
        if not self.model.is_learned or not is_resume:
            return None
        published = resolve(self.model.zoo_class.name, paths=False).folder
        for folder in [*self._written(), *([published] if published else [])]:
            try:
                self.model.load_weights(folder)
            except OptionError as error:  # of other arguments
                log.warning("Not loaded: %s", error)
                continue
            log.info("ckpt_path not given. Loaded checkpoint %s", folder)
            return folder
        log.info("Initializing from scratch.")
        return None

    def save_ckpt(self, epoch: int, **about: Any) -> Path:
        """Write the model as the checkpoint folder checkpoint/ckpt_<epoch>, which `pcsr_zoo.load` takes too.

        Raises:
            OptionError: the model has no parameters.
            FileError: it cannot be written.
        """
        self.model.require_parameters()
        folder = Path(self.cfg.logs_dir, "checkpoint", f"ckpt_{epoch:05d}")
        save_with_card(folder, self.model.zoo, **{"epoch": epoch, **about})
        log.info("Epoch %3d: save ckpt to %s", epoch, folder)
        return folder

    def _written(self) -> list[Path]:
        """The checkpoints of `run_train` and `save_ckpt`, the latest first."""
        folders = [self.training_dir, *Path(self.cfg.logs_dir, "checkpoint").glob("ckpt_*")]
        found = [folder for folder in folders if is_checkpoint(folder) and (folder / WEIGHTS).is_file()]
        return sorted(found, key=lambda folder: (folder / WEIGHTS).stat().st_mtime_ns, reverse=True)
