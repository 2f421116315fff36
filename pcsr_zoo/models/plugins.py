"""Import of user modules that register models. Only modules that the user names are imported.

A checkpoint contains no code and names none, so the user must name the module of a custom model class.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ..errors import OptionError

VARIABLE = "PCSR_IMPORT"


def import_modules(names: Sequence[str], folder: Path, where: str) -> None:
    """Import modules, which runs them.

    Args:
        names: names of modules, installed or in `folder`; or paths of .py files, relative to `folder`.
        folder: the folder; it is appended to `sys.path`.
        where: the beginning of error messages, such as the name of the configuration file.

    Raises:
        OptionError: a module cannot be imported; the message says why.
    """
    for name in names:
        place, module = folder, name
        if name.endswith(".py"):
            place, module = (folder / name).parent, Path(name).stem
        if str(place.resolve()) not in sys.path:
            sys.path.append(str(place.resolve()))
        try:
            found = importlib.import_module(module)
        except (Exception, SystemExit) as error:  # the module may raise anything
            kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
            raise OptionError(
                f"{where}: '{name}' cannot be imported: {kind}{error}; it must be in {place} or be installed"
            ) from error
        if name.endswith(".py") and not _is_of(found, folder / name):
            raise OptionError(
                f"{where}: '{name}' cannot be imported: another module has the name '{module}': "
                f"{getattr(found, '__file__', None) or 'a part of Python'}; rename the file"
            )


def _is_of(module: ModuleType, path: Path) -> bool:
    try:
        return os.path.samefile(module.__file__ or "", path)
    except (OSError, AttributeError):
        return False


def import_from_environment() -> None:
    """Import the modules that the environment variable PCSR_IMPORT names, separated by commas.

    Raises:
        OptionError: see `import_modules`; `folder` is the current directory.
    """
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    import_modules(names, Path(), VARIABLE)
