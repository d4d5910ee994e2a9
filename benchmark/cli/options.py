"""Options that several commands share, and how flags become settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.core.config import parse_settings
from benchmark.core.errors import ConfigError

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
Offline = Annotated[bool, typer.Option("--offline", help="Forbid every network access.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings from TOML, YAML or JSON; flags overrule them."),
]
Device = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps. (default auto)")
]
Precision = Annotated[
    str | None, typer.Option("--precision", help="auto (bf16 where the hardware has it), fp32, bf16 or fp16.")
]
WeightsFolder = Annotated[
    Path | None,
    typer.Option(
        "--weights-folder",
        metavar="FOLDER",
        help="Of published weights. (default $FBENCH_WEIGHTS, or ~/.cache/fbench/weights)",
    ),
]
ScorerPrecision = Annotated[
    str | None,
    typer.Option(
        "--scorer-precision",
        metavar="fp32|bf16",
        help="What scorers' networks compute in; bf16 is quicker, and another version. (default fp32)",
    ),
]

_NOT_SETTINGS = ("config", "dry_run", "as_json", "set_", "weights_folder")


def settings_of(context: typer.Context, out: str) -> dict[str, Any]:
    """The flags that were given, by the name of their setting.

    Args:
        context: Of the command.
        out: The folder where neither a flag nor the file of ``--config`` names one.

    Raises:
        ConfigError: if a setting is given by its flag and by ``--set``, or twice by ``--set``.
    """
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
        f"computing on {torch.get_num_threads()} of {allowed_cores()} cores (OMP_NUM_THREADS overrules)",
        err=True,
    )
