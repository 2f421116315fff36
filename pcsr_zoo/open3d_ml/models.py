"""A class of Open3D-ML's kind for each model of the registry, made on demand: a new model needs no code here.

`open3d_class("jet")` is the class `Jet`, a `torch.nn.Module`. A learned model's network is its submodule `network`, so
`state_dict`, `to(device)`, optimizers and Open3D-ML's own way of saving all see the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from ..catalog import resolve
from ..cloud import Cloud
from ..errors import OptionError
from ..geometry.frames import UnitFrame
from ..models.base import Learned, tasks_of
from ..models.registry import model_classes
from ..zoo import load
from .bases import BaseModel
from .convert import to_cloud, to_data
from .weights import fill, fingerprint, load_learned

# What the section `model` of a configuration may hold beside the arguments of the zoo's class.
_SECTION_KEYS = frozenset({"batcher", "device", "is_resume", "mode", "name", "rank", "recipe", "seed"})


class ZooModel(BaseModel):
    """A model of the zoo as Open3D-ML sees it.

    Args:
        ckpt_path: of a learned model: a checkpoint's name, such as `jetnet`, or its folder. The weights are loaded at
            once, and the arguments are the checkpoint's.
        seed: of untrained weights, a number or a numpy generator.
        recipe: options of the model's `recipe`, a dict.
        arguments: those of the zoo's class, `zoo_class`. Other keys that Open3D-ML's scripts put into a model's section
            (`name`, `batcher`, `device`, `mode`, `is_resume`, `rank`) are kept in `cfg`.

    Raises:
        OptionError: an unknown argument, or a checkpoint of another model or of other arguments.
        FileError: the checkpoint is missing or broken.
    """

    zoo_class: ClassVar[Any]

    def __init__(self, ckpt_path: Any = None, **arguments: Any) -> None:
        super().__init__(ckpt_path=ckpt_path, **arguments)
        self.trans_point_sampler = None  # Open3D-ML's cannot be pickled, and nothing here draws patches with it
        own = {key: value for key, value in arguments.items() if key not in _SECTION_KEYS}
        known = list(inspect.signature(self.zoo_class).parameters)
        for key in own:
            if key not in known:
                raise OptionError(
                    f"{type(self).__name__} has no argument '{key}'; it has: {', '.join(known) or 'none'}"
                )
        if ckpt_path is None:
            zoo = self._untrained(own, arguments.get("seed"))
        else:
            zoo = load_learned(ckpt_path, self.zoo_class, own)
        self.__dict__["zoo"] = zoo  # not through nn.Module, which would count the parameters of a module twice
        if self.is_learned:
            self.network = zoo.network
        self._initial = None if ckpt_path is not None or getattr(zoo, "trained", False) else fingerprint(self)
        tasks = tasks_of(self.zoo_class)
        self.perform("upsample" if "upsample" in tasks else tasks[0])

    def _untrained(self, arguments: dict[str, Any], seed: Any) -> Any:
        import torch

        if seed is None or not self.is_learned:
            return self.zoo_class(**arguments)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.rng.integers(2**31)))
            return self.zoo_class(**arguments)

    @property
    def is_learned(self) -> bool:
        """Whether there is a network to train."""
        return issubclass(self.zoo_class, Learned)

    @property
    def is_untrained(self) -> bool:
        """Whether the parameters are still those that were drawn at random."""
        return self.is_learned and self._initial == fingerprint(self)

    def require_trained(self) -> None:
        """Raise an OptionError where the weights are still random."""
        if self.is_untrained:
            raise OptionError(
                f"{type(self).__name__} has random weights only: give ckpt_path, the name or the folder of a "
                "checkpoint, or train it first"
            )

    def require_parameters(self) -> None:
        """Raise an OptionError where there is no network."""
        if not self.is_learned:
            raise OptionError(
                f"{type(self).__name__} has no parameters: there is nothing to train or to save, use it as it is"
            )

    def load_weights(self, checkpoint: Any) -> None:
        """Replace the parameters, in place, by those of a checkpoint: a name or a folder.

        Raises:
            OptionError: it is of another model, or of other arguments.
            FileError: it is missing or broken.
        """
        fill(self.zoo, load_learned(checkpoint, self.zoo_class, self.zoo.arguments if self.is_learned else {}))
        self._initial = None

    # -- inference ----------------------------------------------------------------------------------------------------

    def perform(self, verb: str, **options: Any) -> None:
        """What `forward` does: `upsample`, `recover` or `sample`, and with which options (ratio, n, seed, ...).

        Raises:
            OptionError: the model cannot do that.
        """
        if not hasattr(self, verb):
            able = " and ".join(tasks_of(self.zoo_class))
            raise OptionError(f"{type(self).__name__} cannot {verb}, it can {able}; choose another model or pipeline")
        self.verb, self.options = verb, {"ratio": getattr(self.zoo, "ratio", 4), **options}

    def preprocess(self, data: Any, attr: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A cloud, checked and in its unit frame.

        Args:
            data: see `convert.to_cloud`.
            attr: its attributes in the data set; not used.

        Returns:
            point: (N, 3) float64, its mean at the origin, the farthest point at distance 1. feat: as given. frame: the
            `UnitFrame` that undoes it. cloud: the `Cloud` as it came. dtype: in which its points came.

        Raises:
            CloudError: the points are none, or not finite.
        """
        cloud, dtype = to_cloud(data)
        frame = UnitFrame.of(cloud.validate().positions)
        feat = to_data(cloud)["feat"]
        return {"point": frame.to_unit(cloud.positions), "feat": feat, "frame": frame, "cloud": cloud, "dtype": dtype}

    def transform(self, data: dict[str, Any], attr: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data as it is: models of the zoo augment their training examples when they draw them."""
        return data

    def inference_begin(self, data: Any) -> None:
        """Take the cloud of the next inference, see `preprocess`."""
        self._inputs = {"data": self.preprocess(data)}

    def inference_preprocess(self) -> dict[str, Any]:
        """The inputs of `forward`. There is one pass: pieces and memory are the business of the zoo's pipelines."""
        return self._inputs

    def forward(self, inputs: Mapping[str, Any]) -> Cloud:
        """What `perform` said, on what `inference_preprocess` or `preprocess` gave, through the zoo's pipelines."""
        data = inputs.get("data", inputs)
        return self._run(self.verb, data["cloud"], **self.options)

    def inference_end(self, inputs: Mapping[str, Any], results: Cloud) -> bool:
        """Keep the result as `inference_result`, a dict as `convert.to_data` makes it. True: all is done."""
        data = inputs.get("data", inputs)
        self.inference_result = to_data(results, data["dtype"])
        return True

    def _run(self, verb: str, x: Any, ratio: Any = None, **options: Any) -> Any:
        parameter = next(self.parameters(), None)
        if parameter is not None:
            options.setdefault("device", str(parameter.device))
        self.require_trained()
        loaded = load(self.zoo, allow_untrained=True)
        return getattr(loaded, verb)(x, None if "n" in options else ratio, **options)

    def _call(self, verb: str, x: Any, ratio: Any, options: dict[str, Any]) -> Any:
        if not isinstance(x, Mapping):
            return self._run(verb, x, ratio, **options)
        cloud, dtype = to_cloud(x)
        return to_data(self._run(verb, cloud, ratio, **options), dtype)

    # -- training -----------------------------------------------------------------------------------------------------

    def recipe(self) -> Any:
        """How the model is trained, a `training.recipe.Recipe`; its networks are this module's.

        Raises:
            OptionError: the model has no parameters, or its recipe no such option.
        """
        self.require_parameters()
        if "_recipe" not in self.__dict__:
            from ..training.options import make_recipe

            self.__dict__["_recipe"] = make_recipe(self.zoo, dict(self.cfg.get("recipe") or {}))
        return self.__dict__["_recipe"]

    def get_loss(self, Loss: Any, results: Any, inputs: Mapping[str, Any], device: Any) -> Any:
        """The loss () of the network on training examples, for a training loop of your own.

        Args:
            Loss, results: not used: the recipe calls the network and knows its losses.
            inputs: examples, as `self.recipe().examples(training_set, step, seed, first, count)` draws them.
            device: where the parameters are.

        Raises:
            OptionError: the model has no parameters.
        """
        recipe = self.recipe()
        examples = {key: value.to(device) if hasattr(value, "to") else value for key, value in inputs.items()}
        loss, _ = recipe.loss(recipe.parts[0], recipe.networks(), examples, 0.0)
        return loss

    def get_optimizer(self, cfg_pipeline: Any) -> tuple[Any, Any]:
        """The trainer's optimizer of the network and a scheduler for each step, for a training loop of your own.

        Args:
            cfg_pipeline: `training` is read, if it is there: see `pcsr_zoo.training.settings.Settings`.

        Raises:
            OptionError: the model has no parameters, or a setting makes no sense.
        """
        from torch.optim.lr_scheduler import LambdaLR

        from ..training.optimizers import make_optimizer
        from ..training.schedule import rate_factor
        from ..training.settings import Settings

        settings = Settings.of(cfg_pipeline.get("training"), "training")
        part = self.recipe().parts[0]
        optimizer = make_optimizer(self.network, part, settings)
        return optimizer, LambdaLR(optimizer, lambda step: rate_factor(settings, step))


class Upsamples(ZooModel):
    """Of a model that makes points."""

    def upsample(self, x: Any, ratio: float | None = 4, **options: Any) -> Any:
        """A denser cloud, see `pcsr_zoo.upsample`; a dict with `point` gives a dict."""
        return self._call("upsample", x, ratio, options)


class Recovers(ZooModel):
    """Of a model that makes a sampled cloud dense again."""

    def recover(self, x: Any, ratio: float | None = 4, **options: Any) -> Any:
        """The dense cloud that x was sampled from, see `pcsr_zoo.recover`; a dict with `point` gives a dict."""
        return self._call("recover", x, ratio, options)


class Samples(ZooModel):
    """Of a model that chooses or places points."""

    def sample(self, x: Any, ratio: float | None = 4, **options: Any) -> Any:
        """A thinner cloud, see `pcsr_zoo.sample`; a dict with `point` gives a dict."""
        return self._call("sample", x, ratio, options)


_MIXINS = {"sample": Samples, "upsample": Upsamples, "recover": Recovers}


def open3d_class(name: str) -> Any:
    """The class of a model by its name in the zoo (`jet`), always the same one.

    Raises:
        OptionError: no such model.
    """
    return _class_of(resolve(name, paths=False).model_class)


def open3d_classes() -> list[Any]:
    """The classes of all models, one for each class of the zoo."""
    return [_class_of(cls) for cls in model_classes().values()]


_classes: dict[type, type] = {}


def _class_of(zoo_class: Any) -> type:
    if zoo_class not in _classes:
        bases = [_MIXINS[task] for task in tasks_of(zoo_class)]
        about = f"{zoo_class.summary}\n\nSource: {zoo_class.source}. See `ZooModel`.\n"
        body = {"zoo_class": zoo_class, "__doc__": about, "__module__": __name__}
        _classes[zoo_class] = type(zoo_class.__name__, tuple(bases), body)
    return _classes[zoo_class]


def __getattr__(name: str) -> Any:
    """`from pcsr_zoo.open3d_ml.models import Jet`, and so that pickle finds the classes."""
    if not name.startswith("_"):
        for cls in open3d_classes():
            if cls.__name__ == name:
                return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
