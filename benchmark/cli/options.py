"""Options of commands: those made from the settings of a config, those that several commands share."""

import importlib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.core import TyperCommand

from benchmark.core.errors import ConfigError
from benchmark.core.settings import DEVICE, OFFLINE, PRECISION, Setting

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from benchmark.core.config import Config as Settings

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check every input and print the plan; write nothing.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any setting, such as optimizer=adafactor; once for each."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings from TOML, YAML or JSON; flags overrule them."),
]
WeightsFolder = Annotated[
    Path | None,
    typer.Option(
        "--weights-folder",
        metavar="FOLDER",
        help="Folder of published weights. (default $FBENCH_WEIGHTS, or ~/.cache/fbench/weights)",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help=OFFLINE.help)]
Device = Annotated[str | None, typer.Option("--device", help=DEVICE.help)]
Precision = Annotated[str | None, typer.Option("--precision", help=PRECISION.help)]

_NOT_SETTINGS = ("config", "dry_run", "as_json", "set_", "weights_folder")
_LAST = ("offline", "dry_run", "as_json")
_MACHINE = ("device", "scorer_precision", "precision", "offline")
"""Settings that many commands have: after the options of a command's own."""


def command_of(config: str, kind: type[TyperCommand] = TyperCommand) -> type[TyperCommand]:
    """The class of a command that has an option, or an argument, for each setting of a config with a flag.

    They are made when the command is used, so that ``fbench --help`` imports no config. First stand the
    settings by their groups, then the options of the command's function, those of the machine and
    ``--dry-run`` last. The function finds what was given by `settings_of`.

    Args:
        config: Where it lives: `module:Class`.
        kind: What the command is otherwise.
    """

    class SettingsCommand(kind):  # type: ignore[misc, valid-type]  # made for each command
        """A command with the options of its settings."""

        _own: list[Any]
        _all: list[Any] | None = None

        @staticmethod
        def config() -> "type[Settings]":
            """The class of its settings."""
            module, _, name = config.partition(":")
            found: type[Settings] = getattr(importlib.import_module(module), name)
            return found

        @property
        def params(self) -> list[Any]:
            """Every option and argument, in the order of ``--help``."""
            if self._all is None:
                made = _params_of(self.config())
                machine = [made.pop(name) for name in _MACHINE if name in made]
                last = next((i for i, one in enumerate(self._own) if one.name in _LAST), len(self._own))
                self._all = [*made.values(), *self._own[:last], *machine, *self._own[last:]]
            return self._all

        @params.setter
        def params(self, own: list[Any]) -> None:
            self._own = own

        def invoke(self, ctx: Any) -> Any:
            """Runs the command with what its function takes; settings are read from the context."""
            own = {one.name for one in self._own}
            return ctx.invoke(self.callback, **{k: v for k, v in ctx.params.items() if k in own})

    return SettingsCommand


def _params_of(config: "type[Settings]") -> dict[str, Any]:
    """Typer's options for the settings that have a flag, by name and group; a group begins with its first."""
    settings = {name: one for name, one in config.settings(Setting).items() if one.flag != "none"}
    groups = list(dict.fromkeys(one.group for one in settings.values()))
    order = sorted(settings, key=lambda name: groups.index(settings[name].group))
    parameters = [_parameter(name, settings[name], config.model_fields[name]) for name in order]

    def anything(**given: Any) -> None: ...

    anything.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    maker = typer.Typer(add_completion=False)
    maker.command()(anything)
    return {str(one.name): one for one in typer.main.get_command(maker).params}


def _parameter(name: str, setting: "Setting", field: "FieldInfo") -> inspect.Parameter:
    """A parameter as Typer reads it from a function's signature."""
    kind = _option_type(field.annotation)
    several = isinstance(kind, list) and setting.flag != "commas"
    one = str if setting.flag == "commas" else kind[0] if isinstance(kind, list) else kind
    metavar = setting.metavar or ("|".join(_choices(field.annotation)) or None)
    text = setting.help.replace("{default}", _default_text(field.default))
    if setting.flag == "argument":
        of: Any = list[one] if several else one  # type: ignore[valid-type]
        info: Any = typer.Argument(metavar=metavar, help=text)
        default: Any = inspect.Parameter.empty
    else:
        of = (list[one] if several else one) | None  # type: ignore[valid-type]
        flag = f"--{name.replace('_', '-')}"
        flag += f"/--no-{flag[2:]}" if kind is bool and setting.flag != "switch" else ""
        info = typer.Option(flag, metavar=metavar, help=text, rich_help_panel=setting.group or None)
        default = None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[of, info]
    )


def _option_type(annotation: Any) -> Any:
    """The type in which an option is read; in a list, where there may be several.

    Example:
        >>> _option_type(int | None), _option_type(int | Literal["full"]), _option_type(tuple[Path, ...])
        (<class 'int'>, <class 'str'>, [<class 'pathlib.Path'>])
    """
    if get_origin(annotation) is Annotated:
        return _option_type(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return [_option_type(get_args(annotation)[0])]
    if get_origin(annotation) is Literal:
        return str
    if get_origin(annotation) in (Union, UnionType):
        kinds = [_option_type(part) for part in get_args(annotation) if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _choices(annotation: Any) -> list[str]:
    """The texts that a setting may be, where it is one of some; None left out."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    optional = get_origin(annotation) in (Union, UnionType) and len(parts) == 1
    return _choices(parts[0]) if optional else []


def _default_text(default: object) -> str:
    """A default in words.

    Example:
        >>> _default_text((2, 4)), _default_text(0.1), _default_text("auto")
        ('2,4', '0.1', 'auto')
    """
    if isinstance(default, tuple):
        return ",".join(map(_default_text, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def settings_of(context: typer.Context, out: str) -> dict[str, Any]:
    """The flags that were given, by the name of their setting.

    Args:
        context: Of the command.
        out: The folder where neither a flag nor the file of ``--config`` names one.

    Raises:
        ConfigError: if a setting is given by its flag and by ``--set``, or twice by ``--set``.
    """
    from benchmark.core.config import parse_settings

    given = {
        name: value
        for name, value in context.params.items()
        # --no-slope-matched is a setting; an --offline that was not given leaves the file's word.
        if name not in _NOT_SETTINGS and value not in (None, [], ()) and (name, value) != ("offline", False)
    }
    for name, value in parse_settings(context.params.get("set_") or ()).items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} and --set {name}= are both given", do="leave one of them out")
        given[name] = value
    file = context.params.get("config")
    if "out" not in given and "out" not in _content(file):
        given["out"] = out
    return given


def _content(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    from benchmark.core.config import load_config_file

    return load_config_file(file)


def forbid_network(*, offline: bool) -> None:
    """Tells the model libraries, before they are imported, to ask the network for nothing."""
    if offline:
        os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def use_weights_folder(folder: Path | None) -> None:
    """Has scorers look for published weights in this folder, here and in worker processes."""
    if folder is not None:
        os.environ["FBENCH_WEIGHTS"] = str(folder.expanduser().absolute())


def use_free_threads() -> None:
    """Computes with the threads that are really free, and says with how many."""
    import torch

    from benchmark.core.devices import allowed_cores, free_threads

    torch.set_num_threads(free_threads())
    typer.echo(
        f"computing on {torch.get_num_threads()} of {allowed_cores()} cores "
        "(OMP_NUM_THREADS sets another number)",
        err=True,
    )
