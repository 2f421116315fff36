"""A model's arguments and its recipe's options, as users give them: what is not known is named, with what is."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OptionError

if TYPE_CHECKING:
    from ..models.base import Learned
    from .recipe import Recipe


def untrained(name: Any, arguments: Mapping[str, Any]) -> Learned:
    """A model with a network, made with these arguments.

    Raises:
        OptionError: no such model, it has no network, or it does not take the arguments.
    """
    from ..models.base import Learned
    from ..registry import model_class

    cls = model_class(name)
    if not issubclass(cls, Learned):
        raise OptionError(f"'{name}' has no network, so there is nothing to train")
    signature = inspect.signature(cls)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        refuse_unknown(f"arguments: '{name}' has no argument", arguments, _names(signature))
        raise OptionError(f"arguments: '{name}' cannot be made with them: {error}") from None
    return cls(**arguments)


def make_recipe(learned: Learned, options: Mapping[str, Any]) -> Recipe:
    """`learned.recipe(**options)`.

    Raises:
        OptionError: the model has no recipe, or an option is unknown or makes no sense.
    """
    name = learned.name  # type: ignore[attr-defined]
    try:
        return learned.recipe(**options)
    except NotImplementedError:
        raise OptionError(f"'{name}' has no recipe, so it cannot be trained") from None
    except TypeError as error:
        refuse_unknown(f"recipe: '{name}' has no option", options, recipe_options(learned))
        raise OptionError(f"recipe: '{name}' cannot be trained with these options: {error}") from error


def recipe_options(learned: Learned) -> list[str]:
    """The options of the model's recipe; where `recipe` hands them on, those of the recipe's own class."""
    signature = inspect.signature(learned.recipe)
    names = _names(signature)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        made = inspect.signature(type(learned.recipe()))
        names += [name for name in _names(made, only_optional=True) if name not in names]
    return names


def refuse_unknown(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise an OptionError that begins with `what` if a key is not among the known ones."""
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=2, cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise OptionError(f"{what} '{key}'; {hint}it has: {', '.join(known) or 'none'}")


def _names(signature: inspect.Signature, only_optional: bool = False) -> list[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in named and not (only_optional and parameter.default is parameter.empty)
    ]
