"""`python -m tools.docs.settings_page docs/settings.md` writes that page from the fields of the configs."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from benchmark.core.config import Config
from benchmark.core.settings import Setting
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.pairs.config import PairsConfig
from tools.docs.lines import table_row
from trainers.config import TrainConfig

CONFIGS: Final[dict[str, type[Config]]] = {
    "train": TrainConfig,
    "eval": EvalConfig,
    "score": ScoreConfig,
    "pairs": PairsConfig,
    "frontier": FrontierConfig,
}
_HEAD = """# Settings

Written by `python -m tools.docs.settings_page docs/settings.md` from the fields of the settings; a test keeps
it so.

A setting is given by its flag, by `--set KEY=VALUE` (`fbench train` and `sweep`), or in a TOML, YAML or JSON
file for `--config`. Flags overrule the file, and both overrule a preset. An unknown key or an impossible
value is refused in one line. `fbench sweep` takes the settings of `fbench train`, several values each for
what varies. Options that are no settings, such as `--dry-run` and `--json`, are on the page
[Commands](commands.md). Which settings make another run is on the page [What is the same run](identity.md).

| environment variable | what |
|:--|:--|
| `FBENCH_CACHE` | the caches: latents, texts, hashes of large files, prompt sets; default `~/.cache/fbench` |
| `FBENCH_WEIGHTS` | folder of published scorer weights; default `~/.cache/fbench/weights` |
| `FBENCH_PROMPTS` | folder of published prompt sets; default `~/.cache/fbench/prompts` |
| `HF_HOME`, `HF_HUB_OFFLINE` | those of huggingface_hub: its cache, and no network |
"""
_UNITS: Final = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Path: "path"}
_LIMITS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_DEFAULT: Final = re.compile(r" ?\(default (?P<what>.+)\)$")


def markdown() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for name, config in CONFIGS.items() for line in _section(name, config))])


def _section(name: str, config: type[Config]) -> Iterator[str]:
    yield f"## `fbench {name}`\n"
    settings = config.settings(Setting)
    for group in dict.fromkeys(setting.group for setting in settings.values()):
        yield f"### {group or 'General'} ({name})\n"
        yield "| setting | flag | values | default | what |\n|:--|:--|:--|:--|:--|"
        for key, setting in settings.items():
            if setting.group == group:
                yield _row(key, setting, config.model_fields[key])
        yield ""


def _row(key: str, setting: Setting, field: FieldInfo) -> str:
    stated = _DEFAULT.search(setting.help)
    what = setting.help[: stated.start()] if stated else setting.help
    default = stated["what"] if stated and stated["what"] != "{default}" else _shown(field)
    return table_row(f"`{key}`", _flag(key, setting), _values(field), default, what)


def _flag(key: str, setting: Setting) -> str:
    if setting.flag == "none":
        return ""
    return f"`{setting.metavar}`" if setting.flag == "argument" else f"`--{key.replace('_', '-')}`"


def _shown(field: FieldInfo) -> str:
    if field.is_required():
        return "to be stated"
    value = field.default
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return ", ".join(f"`{one}`" for one in (value if isinstance(value, tuple) else (value,)))


def _values(field: FieldInfo) -> str:
    return ", ".join([*_kinds(field.annotation), *_limits(field.metadata)])


def _limits(constraints: Iterable[Any]) -> Iterator[str]:
    """Bounds in words; a `Field` holds its constraints in a list of its own."""
    for constraint in constraints:
        yield from _limits(getattr(constraint, "metadata", ()))
        for limit, word in _LIMITS.items():
            if isinstance(bound := getattr(constraint, limit, None), int | float):
                yield f"{word} {bound:g}"


def _kinds(annotation: Any) -> list[str]:
    """What a value may be, in words: choices as they are, numbers with their bounds."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return [f"`{choice}`" for choice in arguments]
    if get_origin(annotation) in (Union, UnionType):
        return [kind for one in arguments if one is not type(None) for kind in _kinds(one)]
    if get_origin(annotation) is tuple:
        return [f"one or more: {', '.join(_kinds(arguments[0]))}"]
    if arguments:  # Annotated[kind, constraints, ...]
        return [", ".join([*_kinds(arguments[0]), *_limits(arguments[1:])])]
    return [_UNITS[annotation]]


if __name__ == "__main__":
    from benchmark.core.store import write_text

    write_text(Path(sys.argv[1]), markdown())
