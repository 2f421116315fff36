"""Configuration files of `pcsr train`: YAML with the keys of `KEYS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError, suggestion
from ..io.files import read_bytes
from ..models.plugins import import_modules
from .settings import Settings

_MOST_VALUES = 10_000  # of a configuration; messages print values
KEYS = ("model", "arguments", "recipe", "data", "training", "import", "queue")


@dataclass(frozen=True)
class RunConfig:
    """The content of a configuration file.

    Attributes:
        model: name of a model class with a network.
        data: a training file.
        arguments: constructor arguments of the model class.
        recipe: options of the model's `recipe`.
        settings: see `Settings`.
    """

    model: str
    data: Path
    arguments: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


def load_config(path: str | PathLike[str], changes: Sequence[str] = ()) -> RunConfig:
    """Read a configuration file.

    `data` is relative to the file. `queue` is for the queue of this project's own weights (`python dev.py weights`) and
    is not used here. `import` names modules, beside the file or installed, that register custom models;
    they are imported.

    Args:
        path: the YAML file.
        changes: changes "key=value", such as "training.lr=1e-4" or "recipe.points=256"; values are YAML.

    Raises:
        FileError: the file is missing or not YAML, or its training file does not exist.
        OptionError: a key is unknown or missing, or a value is invalid; the message names file and key.
    """
    path = Path(path)
    values = parse_yaml(read_bytes(path).decode("utf-8", "replace"), str(path))
    if values is None:
        raise FileError(f"{path} is empty; it needs at least the keys model and data")
    if not isinstance(values, dict):
        raise FileError(f"{path} must have keys and values, at least model and data; it has a {type(values).__name__}")
    values = with_changes(values, changes)
    for key in values:
        if key not in KEYS:
            if key in Settings().as_dict():
                raise OptionError(f"{path}: unknown key '{key}'; it belongs under 'training'")
            raise OptionError(f"{path}: unknown key '{key}'; {suggestion(key, KEYS)}")
    for key, what in (("model", "the name of a model, see pcsr models"), ("data", "a training file")):
        if values.get(key) is None:
            raise OptionError(f"{path}: '{key}' is missing; it must be {what}")
        if not isinstance(values[key], str) or not values[key]:
            raise OptionError(f"{path}: '{key}' must be {what}, got {values[key]!r}")
    tables = {key: as_table(values.get(key), f"{path}: '{key}'") for key in ("arguments", "recipe")}
    try:
        data = path.parent / Path(values["data"]).expanduser()
    except RuntimeError as error:  # an unknown home directory
        raise OptionError(f"{path}: data: '{values['data']}': {error}") from None
    if not data.is_file():
        named = f'"{data}"' if " " in str(data) else data
        raise FileError(f"{path}: data: there is no file {data}; make it with: pcsr data build MESHES... -o {named}")
    settings = Settings.of(values.get("training"), f"{path}: training")
    _import(values.get("import"), path)
    return RunConfig(values["model"], data, tables["arguments"], tables["recipe"], settings)


def as_table(value: Any, where: str) -> dict[str, Any]:
    """A copy of a table of keys and values; an empty one for None.

    Raises:
        OptionError: the value is not a table; the message begins with `where`.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise OptionError(f"{where} must be keys and values, got {value!r}")
    return dict(value)


def with_changes(values: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A copy of a configuration with changes "key=value"; dots separate the keys of nested tables.

    Raises:
        OptionError: a change is not key=value, or names a key inside a value that is not a table.
    """
    out = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for change in changes:
        name, equals, text = change.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise OptionError(f"--set {change}: write key=value, such as training.lr=1e-4")
        if len(keys) == 1 and keys[0] in Settings().as_dict():
            raise OptionError(f"--set {change}: unknown key '{name}'; did you mean training.{name}?")
        table = out
        for key in keys[:-1]:
            inner = table.get(key)
            if inner is None:
                inner = {}
            if not isinstance(inner, dict):
                raise OptionError(f"--set {change}: '{key}' has no keys")
            table[key] = dict(inner)
            table = table[key]
        table[keys[-1]] = parse_yaml(text, f"--set {change}")
    return out


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML. Unlike in YAML 1.1, 1e-3 is a number, and duplicate keys are an error.

    Raises:
        FileError: the text is not valid YAML; the message names the line.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        seen: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float, bool)):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a scalar", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' is a duplicate key", key_node.start_mark)
            seen[key] = loader.construct_object(value_node, deep=True)
        return seen

    import re

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )
    try:
        found = yaml.load(text, Loader=Loader)  # a SafeLoader
        if _size(found, {}) > _MOST_VALUES:
            raise FileError(f"{where}: its aliases stand for more than {_MOST_VALUES:,} values; write them out")
        return found
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise FileError(f"{where}{place}: cannot be read as YAML: {getattr(error, 'problem', None) or error}") from None
    except (ValueError, RecursionError) as error:  # an invalid date, or nesting that is too deep
        raise FileError(f"{where}: cannot be read as YAML: {error}") from None


def _size(value: Any, known: dict[int, int]) -> int:
    """The number of values in nested lists and tables, with aliases written out; each object is counted once."""
    if not isinstance(value, (list, dict)):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1  # of a list inside itself
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def _import(modules: Any, path: Path) -> None:
    """Import modules by name, installed or beside the configuration file."""
    names = [modules] if isinstance(modules, str) else [] if modules is None else modules
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OptionError(f"{path}: 'import' must be the name of a module or a list of names, got {modules!r}")
    import_modules(names, path.parent, f"{path}: import")
