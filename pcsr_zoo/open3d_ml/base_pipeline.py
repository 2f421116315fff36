"""The base of the three pipelines: a model and a data set for inference, test and training."""

from __future__ import annotations

import inspect
import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..checkpoints.config import WEIGHTS
from ..checkpoints.folder import is_checkpoint
from ..devices import as_device
from ..errors import OptionError
from ..metrics.conventions import get_convention
from ..training.settings import Settings
from .bases import BasePipeline
from .logfile import log_file
from .models import ZooModel
from .options import as_seed, check_ratio, refuse_unused
from .testing import run_all

log = logging.getLogger(__name__)


class ZooPipeline(BasePipeline):
    """The base of the three pipelines.

    Args:
        model: of a class that `get_module("model", name, "torch")` returns.
        dataset: for `run_test` and `run_train`: any data set of Open3D-ML's kind.
        name: of the pipeline.
        main_log_dir: logs, measurements and trained weights are written to <main_log_dir>/<model>_<data set>_torch.
        device: "cpu", "cuda", "cuda:1", ...; by default CUDA if there is any, else the CPU.
        ratio: how many times denser (for sampling: sparser) the result is. By default the ratio that the weights were
            trained for, else 4.
        n: number of points of the result instead of the ratio; not for the other two methods.
        seed: seed of the random numbers, a number or a NumPy generator.
        convention: of the distances that `run_test` measures, an id of `pcsr_zoo.metrics.CONVENTIONS`.
        training: settings of `run_train`; see there and `pcsr_zoo.training.settings.Settings`.
        split, device_ids: passed by Open3D-ML's scripts; not used, and more than one device is refused. With
            `device_ids`, "cuda", the default of these scripts, is the CPU if there is no CUDA device.
        others: options of the class; see there.

    Raises:
        OptionError: the model cannot do what the pipeline is for, or an option is unknown or wrong.
    """

    task: ClassVar[str]  # what `run_inference` does
    own_options: ClassVar[tuple[str, ...]] = ()  # of `pcsr_zoo.sample`, `upsample` or `recover`

    def __init__(
        self,
        model: Any,
        dataset: Any = None,
        name: str | None = None,
        *,
        main_log_dir: str = "./logs/",
        device: Any = None,
        ratio: float | None = None,
        n: int | None = None,
        seed: Any = 0,
        convention: str = "pugan-2019",
        training: dict[str, Any] | None = None,
        split: str = "train",
        device_ids: Any = None,
        **others: Any,
    ) -> None:
        if not isinstance(model, ZooModel):
            raise OptionError(f"{type(self).__name__} takes a model of the zoo, got {type(model).__name__}")
        if dataset is not None and not (hasattr(dataset, "get_split") and hasattr(dataset, "name")):
            raise OptionError(f"dataset: {type(dataset).__name__} is not a data set of Open3D-ML's kind")
        several = {"device_ids": device_ids} if device_ids is not None and len(device_ids) > 1 else {}
        parameters = inspect.signature(ZooPipeline).parameters
        known = [*self.own_options, *(key for key in parameters if key not in ("device_ids", "others"))]
        refuse_unused(type(self).__name__, {**several, **others}, known)
        if ratio is not None and n is not None:
            raise OptionError(f"{type(self).__name__} takes a ratio or n, not both; leave one out")
        check_ratio(type(self).__name__, ratio, "how many times denser, or sparser, the result is")
        Settings.of(training, "training")
        model.require(self.task)
        if device is not None:
            try:
                device = as_device(device)
            except OptionError as error:
                if device != "cuda" or device_ids is None:
                    raise
                log.warning("%s", error)
                device = "cpu"
        super().__init__(
            model=model,
            dataset=dataset,
            name=name or type(self).__name__,
            main_log_dir=str(main_log_dir),
            device=device,
            rank=int(os.environ.get("RANK", 0)),  # torchrun sets it; the process of rank 0 makes the folders
            ratio=ratio,
            n=n,
            seed=seed,
            convention=get_convention(convention).id,
            training=training,
            **{**dict.fromkeys(self.own_options), **others},
        )
        if device is not None:  # Open3D-ML would use the first GPU for each
            import torch

            self.device = torch.device(device)
        Path(self.cfg.logs_dir).mkdir(parents=True, exist_ok=True)
        self.seed = as_seed(seed, self.rng)

    # -- inference ----------------------------------------------------------------------------------------------------

    def run_inference(self, data: Any) -> dict[str, Any]:
        """The result for one cloud, with the options of the pipeline.

        Args:
            data: {"point": (N, 3), "feat": (N, C) or None, ...}, or whatever `pcsr_zoo.upsample` takes.

        Returns:
            {"point": (M, 3) in the dtype of the input, "feat": (M, C) or None, ...}, with all arrays of the input that
            have one row a point.

        Raises:
            CloudError, OptionError: as `pcsr_zoo.upsample`, `sample` and `recover`.
        """
        return self._run(self.task, data)

    def sample(self, data: Any, ratio: float | None = None, **options: Any) -> dict[str, Any]:
        """A sparser cloud; data and result as for `run_inference`, options as for `pcsr_zoo.sample`."""
        return self._run("sample", data, ratio, **options)

    def recover(self, data: Any, ratio: float | None = None, **options: Any) -> dict[str, Any]:
        """The dense cloud of a sampled one; data and result as for `run_inference`, options as for `pcsr_zoo.recover`.

        Without a ratio, what `sample` returned becomes as dense as it was.
        """
        return self._run("recover", data, ratio, **options)

    def upsample(self, data: Any, ratio: float | None = None, **options: Any) -> dict[str, Any]:
        """A denser cloud; data and result as for `run_inference`, options as for `pcsr_zoo.upsample`."""
        return self._run("upsample", data, ratio, **options)

    def _run(self, task: str, data: Any, ratio: float | None = None, **options: Any) -> dict[str, Any]:
        import torch

        self.model.require(task)
        self.prepare()
        if ratio is None and options.get("n") is None:
            ratio = self.cfg.ratio
            if task == self.task and self.cfg.n is not None:
                options["n"] = self.cfg.n
        own = {key: self.cfg[key] for key in self.own_options if task == self.task and self.cfg[key] is not None}
        with torch.no_grad():
            return self.model(data, task, ratio, **{"seed": self.seed, "device": str(self.device), **own, **options})

    def prepare(self) -> None:
        """Put the model on the device. Random weights are replaced by those of `load_ckpt`, or refused."""
        if self.model.is_untrained:
            if (folder := self.load_ckpt()) is not None:
                log.warning("no ckpt_path is given: using the latest weights of this log folder, %s", folder)
            self.model.require_trained()
        self.model.to(self.device)
        self.model.eval()

    # -- test ---------------------------------------------------------------------------------------------------------

    def test_case(self, data: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """What `run_test` gives to `solve` for an item of the data set, and the ground truth (M, 3) or None."""
        raise NotImplementedError

    def solve(self, given: dict[str, Any], truth: Any) -> list[dict[str, Any]]:
        """The clouds of a test for what `test_case` returned; the last one is the result."""
        return [self.run_inference(given)]

    def run_test(self) -> dict[str, Any]:
        """Run the test split: save each result with the data set, and measure it if there is a ground truth.

        Returns:
            See `testing.run_all`; also written to a .json file beside the log, and kept as `metric_test`.

        Raises:
            OptionError: there is no data set, or its items do not suit the pipeline.
            PcsrError: an item cannot be read, run or saved; the message names it.
        """
        if self.dataset is None:
            raise OptionError(f"{type(self).__name__} has no data set to test on; pass one as 'dataset'")
        self.prepare()
        with log_file(self.cfg.logs_dir, "test") as path:
            log.info("DEVICE : %s", self.device)
            log.info("Weights: %s", self.model.weights_used())
            self.metric_test = run_all(self, self.dataset, path.with_suffix(".json"))
        return self.metric_test

    # -- training and checkpoints -------------------------------------------------------------------------------------

    def run_train(self) -> Any:
        """Train the model on the data set; see `training.run_train`."""
        from .training import run_train

        with log_file(self.cfg.logs_dir, "train", self.rank):
            log.info("DEVICE : %s", self.device)
            return run_train(self)

    @cached_property
    def training_start(self) -> str | None:
        """The checkpoint that `run_train` fine-tunes, also if it is called again; None trains the model's weights."""
        found: str | None = self.model.weights_used()["checkpoint"]
        return found

    @property
    def training_dir(self) -> Path:
        """The folder of `run_train`: a checkpoint with the best weights, and the state of the training."""
        return Path(self.cfg.logs_dir, "training")

    def load_ckpt(self, ckpt_path: Any = None) -> Path | None:
        """Load weights into the model, in place, and return the folder of the checkpoint, or None if there is none.

        Args:
            ckpt_path: a checkpoint's name or its folder. By default the latest checkpoint that was trained or saved in
                this pipeline's log folder.

        Raises:
            OptionError, FileError: the checkpoint does not fit the model, or cannot be read.
        """
        for checkpoint in self._written() if ckpt_path is None else [ckpt_path]:
            try:
                self.model.load_weights(checkpoint)
            except OptionError as error:
                if ckpt_path is not None:
                    raise
                log.warning("Not loaded: %s", error)  # it has other constructor arguments
                continue
            folder: Path = self.model.loaded.resolved.folder
            log.info("Loaded checkpoint %s", folder)
            return folder
        return None

    def save_ckpt(self, epoch: int, **about: Any) -> Path:
        """Write the model to the checkpoint folder checkpoint/ckpt_<epoch>, which `pcsr_zoo.load` takes, too.

        Raises:
            OptionError: the model has no parameters.
            FileError: the folder cannot be written.
        """
        self.model.require_parameters()
        folder: Path = self.model.loaded.save(
            Path(self.cfg.logs_dir, "checkpoint", f"ckpt_{epoch:05d}"), epoch=epoch, **about
        )
        log.info("Epoch %3d: saved checkpoint %s", epoch, folder)
        return folder

    def _written(self) -> list[Path]:
        """The checkpoints of `run_train` and `save_ckpt`, the latest first."""
        folders = [self.training_dir, *Path(self.cfg.logs_dir, "checkpoint").glob("ckpt_*")]
        found = [folder for folder in folders if is_checkpoint(folder) and (folder / WEIGHTS).is_file()]
        return sorted(found, key=lambda folder: (folder / WEIGHTS).stat().st_mtime_ns, reverse=True)
