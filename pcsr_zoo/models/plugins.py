"""Modules of somebody's own that register models, imported because the user named them and never for another reason.

A checkpoint holds no code and names none: where its model class comes from, its user has to say.
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
        names: of modules, installed or in `folder`; or paths of .py files, relative to it.
        folder: comes last in the search path from now on.
        where: begins the message of an error.

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
        except (Exception, SystemExit) as error:  # whatever the module does
            kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
            raise OptionError(
                f"{where}: '{name}' cannot be imported: {kind}{error}; it is looked for in {place} and among what is "
                "installed"
            ) from error
        if name.endswith(".py") and not _is_of(found, folder / name):
            raise OptionError(
                f"{where}: '{name}' cannot be imported: there is another module '{module}', "
                f"{getattr(found, '__file__', None) or 'a part of Python'}; give the file another name"
            )


def _is_of(module: ModuleType, path: Path) -> bool:
    try:
        return os.path.samefile(module.__file__ or "", path)
    except (OSError, AttributeError):
        return False


def import_from_environment() -> None:
    """Import the modules that the environment variable PCSR_IMPORT names, separated by commas.

    Raises:
        OptionError: see `import_modules`; `folder` is the current one.
    """
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    import_modules(names, Path(), VARIABLE)
