"""Checks of the constructor arguments of models and of recipe options that users give."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..catalog import resolve
from ..errors import OptionError, PcsrError, suggestion
from ..models.base import Learned

if TYPE_CHECKING:
    from ..models.recipe import Recipe

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BAD_VALUES = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)  # raised for invalid values


def untrained(name: Any, arguments: Mapping[str, Any]) -> Learned:
    """Make a model with a network from its name and constructor arguments.

    Raises:
        OptionError: the model does not exist, has no network, or does not take the arguments.
    """
    cls = resolve(name).model_class
    if not issubclass(cls, Learned):
        raise OptionError(f"'{name}' has no network, so there is nothing to train")
    signature = inspect.signature(cls)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        refuse_unknown(f"arguments: '{name}' has no argument", arguments, _names(signature))
        raise OptionError(f"arguments: '{name}' cannot be made with them: {error}") from None
    try:
        return cls(**arguments)
    except PcsrError:
        raise
    except (*_BAD_VALUES, RuntimeError, MemoryError) as error:
        raise OptionError(f"arguments: '{name}' cannot be made with them: {error}") from error


def make_recipe(learned: Learned, options: Mapping[str, Any]) -> Recipe:
    """Make the recipe `learned.recipe(**options)` and check it.

    Raises:
        OptionError: the model has no recipe; the recipe does not train the model's network; or an option is unknown,
            has another type than its default, or is invalid.
    """
    name = learned.name  # type: ignore[attr-defined]
    try:
        recipe = learned.recipe(**options)
    except PcsrError:
        raise
    except NotImplementedError:
        raise OptionError(f"'{name}' has no recipe, so it cannot be trained") from None
    except _BAD_VALUES as error:
        refuse_unknown(f"recipe: '{name}' has no option", options, recipe_options(learned))
        raise OptionError(f"recipe: '{name}' cannot be trained with these options: {error}") from error
    defaults = _defaults(learned, recipe)
    for option, value in options.items():
        if option in defaults:
            _check_kind(f"recipe: {option}", value, defaults[option])
    inside = {id(module) for module in learned.network.modules()}
    if not any(id(module) in inside for module in recipe.networks().values()):
        raise OptionError(f"'{name}' cannot be trained: no part of its recipe is its network or a module of it")
    return recipe


def recipe_options(learned: Learned) -> list[str]:
    """The names of the recipe's options; if `recipe` takes **options, also those of the recipe's class."""
    return list(_defaults(learned, None))


def _defaults(learned: Learned, recipe: Recipe | None) -> dict[str, Any]:
    """The recipe's options with their defaults. A recipe is made if none is given."""
    found, hands_on = _optional(inspect.signature(learned.recipe))
    if hands_on:
        for cls in type(learned.recipe() if recipe is None else recipe).__mro__:
            if "__init__" in vars(cls):
                more, hands_on = _optional(inspect.signature(vars(cls)["__init__"]))
                found |= {option: default for option, default in more.items() if option not in found}
                if not hands_on:
                    break
    return found


def _optional(signature: inspect.Signature) -> tuple[dict[str, Any], bool]:
    """The parameters with defaults, and whether there is a **parameter."""
    parameters = signature.parameters.values()
    named = {p.name: p.default for p in parameters if p.kind in _NAMED and p.default is not p.empty}
    return named, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _check_kind(where: str, value: Any, default: Any) -> None:
    """Check that a value has the type of its default; any value is allowed if the default is None.

    Raises:
        OptionError: the value has another type.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # not NaN
    if isinstance(default, bool):
        good, kind = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        good, kind = number and isinstance(value, int), "a whole number without point and exponent"
    elif isinstance(default, float):
        good, kind = number, "a number"
    elif isinstance(default, str):
        good, kind = isinstance(value, str), "a word"
    elif isinstance(default, (tuple, list)):
        entries = value if isinstance(value, (tuple, list)) else [value]  # the recipe checks single numbers
        good, kind = isinstance(value, (tuple, list, int, float)), f"a list of {len(default) or 'values'}"
        good &= not default or not isinstance(value, (tuple, list)) or len(value) == len(default)
        for entry, like in zip(entries, default, strict=False):
            _check_kind(f"{where}: each entry", entry, like)
    else:
        return
    if not good:
        raise OptionError(f"{where} must be {kind}, got {value!r}")


def refuse_unknown(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise an OptionError that begins with `what` if a key is unknown."""
    for key in given:
        if key not in known:
            raise OptionError(f"{what} '{key}'; {suggestion(key, known)}")


def _names(signature: inspect.Signature) -> list[str]:
    return [name for name, parameter in signature.parameters.items() if parameter.kind in _NAMED]
