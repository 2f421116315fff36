"""One Open3D-ML model class for each model class of the zoo, created on demand: a new model needs no code here.

`open3d_class("jet")` is the class `Jet`, a `torch.nn.Module`. The network of a model that has one is its submodule
`network`, so that `state_dict`, `to(device)` and optimizers see the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from ..catalog import resolve
from ..errors import OptionError, suggestion
from ..io.recovery_note import note_of
from ..models.base import Learned, tasks_of
from ..models.registry import model_classes
from ..zoo import LoadedModel, load
from .bases import BaseModel
from .convert import one_cloud, to_cloud, to_data
from .options import as_seed, refuse_unused
from .weights import choices, fingerprint, load_learned

RATIO = 4.0  # of a model that works at any ratio


class ZooModel(BaseModel):
    """A model of the zoo as Open3D-ML sees it.

    Args:
        ckpt_path: for a model with a network: the name of a checkpoint, such as `pointlie-x8`, or its folder. The
            weights are loaded at once, and the constructor arguments are those of the checkpoint.
        allow_untrained: run inference even with random weights, for experiments.
        recipe: options of the model's training examples and loss.
        is_resume: False: `run_train` starts again, and does not continue the training that is in the log folder.
        seed: seed of untrained weights, a number or a NumPy generator.
        name, device, mode: passed by Open3D-ML's scripts; the pipeline has the device, and `mode` must be None.
        arguments: constructor arguments of `zoo_class`.

    Raises:
        OptionError: an argument is unknown, or the checkpoint has another class or other arguments.
        FileError: the checkpoint is missing or broken.
    """

    zoo_class: ClassVar[Any]

    def __init__(
        self,
        ckpt_path: Any = None,
        *,
        allow_untrained: bool = False,
        recipe: Mapping[str, Any] | None = None,
        is_resume: bool = True,
        seed: Any = None,
        name: str | None = None,
        device: Any = None,
        mode: Any = None,
        **arguments: Any,
    ) -> None:
        known = list(inspect.signature(self.zoo_class).parameters)
        own = ["ckpt_path", "allow_untrained", "recipe", "is_resume", "seed"] if self.is_learned else ["seed"]
        refuse_unused(type(self).__name__, {**arguments, **({} if mode is None else {"mode": mode})}, [*known, *own])
        if recipe and not self.is_learned:
            self.require_parameters()
        super().__init__(
            name=name or type(self).__name__,
            ckpt_path=ckpt_path,
            allow_untrained=allow_untrained,
            recipe=recipe,
            is_resume=is_resume,
            seed=seed,
            **arguments,
        )
        self.trans_point_sampler = None  # Open3D-ML's sampler cannot be pickled and is not used here
        if ckpt_path is None:
            loaded = load(self._untrained(arguments, seed), allow_untrained=True)
        else:
            loaded = load_learned(ckpt_path, self.zoo_class, arguments)
        self.__dict__["loaded"] = loaded  # not through nn.Module, which would register the network twice
        if self.is_learned:
            self.network = self.zoo.network
        self._initial = None if ckpt_path is not None or getattr(self.zoo, "trained", False) else fingerprint(self)

    def _untrained(self, arguments: dict[str, Any], seed: Any) -> Any:
        import torch

        if seed is None or not self.is_learned:
            return self.zoo_class(**arguments)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(as_seed(seed, self.rng))
            return self.zoo_class(**arguments)

    @property
    def zoo(self) -> Any:
        """The model object of `pcsr_zoo`."""
        return self.loaded.model

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the model can do: some of "sample", "upsample" and "recover"."""
        return tasks_of(self.zoo_class)

    @property
    def is_learned(self) -> bool:
        """Whether there is a network to train."""
        return issubclass(self.zoo_class, Learned)

    @property
    def is_untrained(self) -> bool:
        """Whether the parameters are still the random ones."""
        return self.is_learned and self._initial == fingerprint(self)

    def weights_used(self) -> dict[str, str | None]:
        """{"checkpoint": the folder of the weights, "weights": their "sha256:..."}, see `testing.run_all`."""
        resolved, weights = self.loaded.resolved, self.loaded.weights
        unchanged = resolved.config is not None and resolved.weights == weights
        return {"checkpoint": str(resolved.folder) if unchanged else None, "weights": weights}

    def require(self, task: str) -> None:
        """Raise an OptionError that names models for the task if this model cannot do it."""
        if task not in tasks_of(self.zoo_class):
            able = [cls.__name__ for cls in open3d_classes() if task in tasks_of(cls.zoo_class)]
            raise OptionError(
                f"{type(self).__name__} cannot {task}, it can {' and '.join(self.tasks)}; {suggestion('', able)}"
            )

    def require_trained(self) -> None:
        """Raise an OptionError if the weights are random and `allow_untrained` is not set."""
        if self.is_untrained and not self.cfg.allow_untrained:
            raise OptionError(
                f"{type(self).__name__} has random weights: set ckpt_path to {choices(self.zoo_class)}, or "
                "train it first; allow_untrained: true runs it all the same"
            )

    def require_parameters(self) -> None:
        """Raise an OptionError if there is no network."""
        if not self.is_learned:
            raise OptionError(f"{type(self).__name__} has no parameters, so there is nothing to train or to save")

    def load_weights(self, checkpoint: Any) -> None:
        """Replace the parameters, in place, by those of a checkpoint: a name or a folder.

        Raises:
            OptionError: it has another class or other arguments.
            FileError: it is missing or broken.
        """
        found = load_learned(checkpoint, self.zoo_class, self.zoo.arguments if self.is_learned else {})
        self.network.load_state_dict(found.model.network.state_dict(), strict=True)
        self.__dict__["loaded"] = LoadedModel(self.zoo, found.resolved)
        self._initial = None

    # -- inference ----------------------------------------------------------------------------------------------------

    def forward(self, inputs: Any, task: str | None = None, ratio: float | None = None, **options: Any) -> Any:
        """Sample, upsample or recover the points of the input, in the frame of the input.

        Args:
            inputs: what `preprocess` or Open3D-ML's data loader returns, or whatever `convert.to_cloud` takes.
            task: "upsample", "sample" or "recover"; by default the first of these that the model can do.
            ratio: how many times denser or sparser; by default the ratio that the weights were trained for, else 4.
            options: of `pcsr_zoo.upsample`, `sample` or `recover`: n, seed, ...

        Returns:
            {"point": (M, 3) in the dtype of the input, "feat": (M, C) or None, ...}; see `convert.to_data`.

        Raises:
            CloudError, OptionError: as `pcsr_zoo.upsample`; or the model cannot do the task.
        """
        task = task or ("upsample" if "upsample" in self.tasks else self.tasks[0])
        self.require(task)
        self.require_trained()
        cloud, dtype = to_cloud(one_cloud(inputs))
        if ratio is None and options.get("n") is None and not (task == "recover" and note_of(cloud.metadata)):
            ratio = self.loaded.ratio or RATIO
        parameter = next(self.parameters(), None)
        if parameter is not None:
            options["device"] = str(parameter.device)
        return to_data(getattr(self.loaded, task)(cloud, ratio, **options), dtype)

    def preprocess(self, data: Any, attr: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The input of `forward`: the arrays of a cloud, checked, in their own frame.

        Args:
            data: see `convert.to_cloud`.
            attr: attributes of the item in its data set; not used.

        Raises:
            CloudError: there are no points, or not all of them are finite.
        """
        cloud, dtype = to_cloud(data)
        cloud.validate()
        cloud.metadata = {}  # data loaders batch arrays, and nothing else
        return {key: value for key, value in to_data(cloud, dtype).items() if value is not None}

    def transform(self, data: dict[str, Any], attr: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the data unchanged; training examples are augmented by the model's recipe."""
        return data

    def inference_begin(self, data: Any) -> None:
        """Set the cloud of the next inference; see `preprocess`."""
        self._inputs = self.preprocess(data)

    def inference_preprocess(self) -> dict[str, Any]:
        """The input of `forward`."""
        return self._inputs

    def inference_end(self, inputs: Any, results: dict[str, Any]) -> bool:
        """Keep the result as `inference_result`. True: one pass is enough."""
        self.inference_result = results
        return True

    # -- training -----------------------------------------------------------------------------------------------------

    def recipe(self) -> Any:
        """The training examples and losses of the model, a `pcsr_zoo.models.recipe.Recipe` with this model's network.

        Raises:
            OptionError: the model has no parameters, or the recipe has no such option.
        """
        self.require_parameters()
        if "_recipe" not in self.__dict__:
            from ..training.options import make_recipe

            self.__dict__["_recipe"] = make_recipe(self.zoo, dict(self.cfg.recipe or {}))
        return self.__dict__["_recipe"]

    def get_loss(self, Loss: Any, results: Any, inputs: Mapping[str, Any], device: Any) -> Any:
        """The loss of the network on training examples, for a training loop of your own.

        Args:
            Loss, results: not used: the recipe runs the network and computes its losses.
            inputs: examples, as `self.recipe().examples(training_set, step, seed, first, count)` draws them.
            device: the device of the parameters.

        Raises:
            OptionError: the model has no parameters.
        """
        recipe = self.recipe()
        examples = {key: value.to(device) if hasattr(value, "to") else value for key, value in inputs.items()}
        loss, _ = recipe.loss(recipe.parts[0], recipe.networks(), examples, 0.0)
        return loss

    def get_optimizer(self, cfg_pipeline: Any) -> tuple[Any, Any]:
        """The trainer's optimizer and a learning-rate scheduler for each step, for a training loop of your own.

        Args:
            cfg_pipeline: its section `training` is used; see `pcsr_zoo.training.settings.Settings`.

        Raises:
            OptionError: the model has no parameters, or a setting is wrong.
        """
        from torch.optim.lr_scheduler import LambdaLR

        from ..training.optimizers import make_optimizer
        from ..training.schedule import rate_factor
        from ..training.settings import Settings

        part = self.recipe().parts[0]
        settings = Settings.of(cfg_pipeline.get("training"), "training")
        optimizer = make_optimizer(self.network, part, settings)
        return optimizer, LambdaLR(optimizer, lambda step: rate_factor(settings, step))


def open3d_class(name: str) -> Any:
    """The Open3D-ML class of a model by its name in the zoo, such as `jet`; the same one for each call.

    Raises:
        OptionError: there is no such model.
    """
    return _class_of(resolve(name, paths=False).model_class)


def open3d_classes() -> list[Any]:
    """The Open3D-ML classes of all model classes."""
    return [_class_of(cls) for cls in model_classes().values()]


_classes: dict[type, type] = {}


def _class_of(zoo_class: Any) -> type:
    if zoo_class not in _classes:
        about = f"{zoo_class.summary}\n\nSource: {zoo_class.source}. See `ZooModel`.\n"
        body = {"zoo_class": zoo_class, "__doc__": about, "__module__": __name__}
        _classes[zoo_class] = type(zoo_class.__name__, (ZooModel,), body)
    return _classes[zoo_class]


def __getattr__(name: str) -> Any:
    """`from pcsr_zoo.open3d_ml.models import Jet`, which pickle needs, too."""
    if not name.startswith("_"):
        for cls in open3d_classes():
            if cls.__name__ == name:
                return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
