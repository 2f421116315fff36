"""Open3D-ML's registries and base classes. No other module of the zoo imports Open3D-ML.

Open3D-ML's torch part is built for one release of torch. With another release, or if a library of the wheel does not
load, `import open3d.ml.torch` raises. The base classes, all that the zoo needs, are plain Python: they are then
imported without their packages, and `PARTIAL` has the reason.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from .._open3d import import_open3d
from ..errors import DependencyError

# Open3D reads the same variable, to use a clone of Open3D-ML instead of the one in the wheel.
ROOT = "ml3d" if "OPEN3D_ML_ROOT" in os.environ else "open3d._ml3d"
# The packages of the base classes; their own code imports every model and the compiled operators.
_PACKAGES = tuple(f"{ROOT}.torch{part}" for part in ("", ".models", ".pipelines", ".utils"))


def _import_torch_part() -> str | None:
    """Import Open3D-ML's torch part; return what it raised, in one line, or None."""
    try:
        importlib.import_module("open3d.ml.torch")
        importlib.import_module(f"{ROOT}.torch")
    except Exception as error:  # OSError, RuntimeError and ImportError have been seen
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    return None


def _import_base(name: str) -> ModuleType:
    """Import the module of a base class without the code of its packages."""
    before = {package: sys.modules.get(package) for package in _PACKAGES}
    try:
        for package in _PACKAGES:
            spec = importlib.util.find_spec(package)
            if spec is None:
                raise ImportError(f"this build of Open3D has no {package}")
            sys.modules[package] = importlib.util.module_from_spec(spec)
        return importlib.import_module(name)
    finally:  # an empty package must not stay: a later import must raise the actual error
        for package, module in before.items():
            if module is None:
                sys.modules.pop(package, None)
            else:
                sys.modules[package] = module


def _import_all() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType, str | None]:
    import_open3d()
    try:
        utils = importlib.import_module(f"{ROOT}.utils")
        datasets = importlib.import_module(f"{ROOT}.datasets.base_dataset")
        partial = _import_torch_part()
        load = importlib.import_module if partial is None else _import_base
        models = load(f"{ROOT}.torch.models.base_model")
        pipelines = load(f"{ROOT}.torch.pipelines.base_pipeline")
    except ImportError as error:
        raise DependencyError(
            f"Open3D-ML cannot be imported ({error}); install what it needs with: pip install 'pcsr-zoo[open3d-ml]'"
        ) from error
    return utils, datasets, models, pipelines, partial


_utils, _datasets, _models, _pipelines, PARTIAL = _import_all()

MODEL: Any = _utils.MODEL
PIPELINE: Any = _utils.PIPELINE
DATASET: Any = _utils.DATASET
BaseDataset: Any = _datasets.BaseDataset
BaseDatasetSplit: Any = _datasets.BaseDatasetSplit
BaseModel: Any = _models.BaseModel
BasePipeline: Any = _pipelines.BasePipeline
