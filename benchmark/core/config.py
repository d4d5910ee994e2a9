"""Settings from flags and ``--config`` files, and errors that a user can act on."""

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.core import manifest
from benchmark.core.errors import ConfigError, MissingFileError, UnreadableFileError, close_matches
from benchmark.core.settings import SettingType
from benchmark.core.strict import load_json, load_yaml

_FORMATS = (".toml", ".yaml", ".yml", ".json")


class Config(BaseModel):
    """Base of every command's settings: frozen, and no key is ever ignored.

    A key that does nothing is worse than an error: a sweep over a misspelt setting looks like a result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def settings(cls, kind: type[SettingType]) -> dict[str, SettingType]:
        """What each field says of itself, by name.

        Args:
            kind: The annotation that every field has.

        Raises:
            TypeError: if one has none.
        """
        found = {}
        for name, info in cls.model_fields.items():
            annotations = [one for one in info.metadata if isinstance(one, kind)]
            if not annotations:
                raise TypeError(f"{cls.__name__}.{name} needs an annotation, {kind.__name__}(...)")
            found[name] = annotations[0]
        return found

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "", flags: Collection[str] = ()) -> Self:
        """Checks values by key; ``-`` is accepted for ``_``.

        Args:
            values: The settings.
            source: Where they come from, for the message.
            flags: Keys of those that do not come from there, but from the command line.

        Raises:
            ConfigError: for an unknown key or an impossible value; one line, all of them.
        """
        try:
            return cls.model_validate(_normalised(values.items(), source or "the settings"))
        except ValidationError as error:
            raise _explain(error, cls, _blamed(error, source, flags)) from error

    @classmethod
    def resolve(cls, file: Path | None, flags: Mapping[str, Any]) -> Self:
        """The settings of a command: the file's, overruled by the flags that were given.

        Args:
            file: From ``--config``.
            flags: By name; None means that the flag was not given.

        Raises:
            ConfigError: for an unknown key or an impossible value.
        """
        given = {key: value for key, value in flags.items() if value is not None}
        if file is None:
            return cls.parse(given)
        return cls.parse({**load_config_file(file), **given}, str(file), given)


def load_config_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML, YAML or JSON file; its keys with ``_`` for ``-``.

    Args:
        path: The file; or a run's folder or its manifest, whose settings are those that the run resolved.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it cannot be parsed, is not a table of keys, or states one of them twice.
        ConfigError: if its name ends in something else, or a key stands there in two spellings.
    """
    if path.is_dir() or path.name == manifest.FILE_NAME:
        return manifest.read_manifest(path).config
    if not path.is_file():
        raise MissingFileError(
            path,
            "config file",
            allowed=f"a file that ends in {', '.join(_FORMATS)}, or the folder of a run",
            do="name one that is there, or give its settings as flags",
        )
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"cannot tell the format of {path}", allowed=", ".join(_FORMATS))
    try:
        content = _parse(path.read_text(encoding="utf-8-sig"), path.suffix.lower())
    except (OSError, ValueError) as error:
        raise UnreadableFileError(path, path.suffix[1:].upper(), error) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UnreadableFileError(path, "settings", "it is not a table of keys and values")
    return _normalised(content.items(), str(path))


def _parse(text: str, suffix: str) -> object:
    if suffix == ".toml":
        return tomllib.loads(text)
    return load_json(text) if suffix == ".json" else load_yaml(text) or {}


def _normalised(pairs: Iterable[tuple[str, Any]], source: str) -> dict[str, Any]:
    """The settings with ``_`` for ``-``; `source` names where they stand, for the message.

    Raises:
        ConfigError: if one stands there twice, in one spelling or in two.
    """
    found: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in pairs:
        name = key.replace("-", "_")
        if name in spelled:
            both = f"{key} twice" if spelled[name] == key else f"both {spelled[name]} and {key}"
            raise ConfigError(f"{source} has {both}", do="leave one of them out")
        found[name], spelled[name] = value, key
    return found


def _blamed(error: ValidationError, source: str, flags: Collection[str]) -> str:
    """Who stated what is wrong: the source, the command line, which needs no name, or both."""
    typed = {key.replace("-", "_") for key in flags}
    wrong = {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    if not source or (wrong and wrong <= typed):
        return ""
    # What contradicts itself is of all that was stated.
    return f"{source} and the command line" if wrong & typed or (typed and not wrong) else source


def _explain(error: ValidationError, model: type[BaseModel], source: str) -> ConfigError:
    """One line for everything that is wrong, with close matches for keys nobody knows."""
    wrong, hints = [], []
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            wrong.append(f"unknown key {key!r}")
            close = close_matches(str(item["loc"][-1]), model.model_fields)
            hints.append(f"did you mean {' or '.join(close)}?" if close else "")
        elif item["type"] == "missing":
            wrong.append(f"{key} is not stated")
        else:
            wrong.append(f"{key} is {item['input']!r}: {said}" if key else said)
    unknown = any(item["type"] == "extra_forbidden" for item in error.errors())
    where = f"{source}: " if source else ""
    return ConfigError(
        where + ", ".join(wrong),
        allowed=", ".join(model.model_fields) if unknown else "",
        do=" ".join(dict.fromkeys(hint for hint in hints if hint)),
    )


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Settings of `--set`: numbers, true, false and null as in JSON, everything else as text.

    Example:
        >>> parse_settings(["lr=1e-4", "divergence=alpha(a=0.5)"])
        {'lr': 0.0001, 'divergence': 'alpha(a=0.5)'}

    Raises:
        ConfigError: for one without `=`, or a key that is set twice.
    """
    found: list[tuple[str, Any]] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set is {pair!r}", allowed="KEY=VALUE, such as lr=1e-4")
        try:
            found.append((key, load_json(value)))
        except ValueError:
            found.append((key, value))
    return _normalised(found, "--set")
