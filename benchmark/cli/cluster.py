"""Options of commands that can work on a Ray cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from benchmark.core.errors import ConfigError

if TYPE_CHECKING:
    from benchmark.cluster.settings import Cluster

_CLUSTER = "On a Ray cluster"
OPTIONS = frozenset(
    {"ray", "workers", "retries", "patience", "cpus_per_worker", "gpus_per_worker", "scratch"}
)

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Work on a Ray cluster: auto (also where no address is given), local, or host:port of a head.",
        rich_help_panel=_CLUSTER,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes with models of their own. (default as many as fit)", rich_help_panel=_CLUSTER
    ),
]
Cpus = Annotated[int, typer.Option(help="Cores of a worker, and its threads.", rich_help_panel=_CLUSTER)]
Gpus = Annotated[
    float | None,
    typer.Option(help="GPUs of a worker. (default 1 where the cluster has any)", rich_help_panel=_CLUSTER),
]
Retries = Annotated[
    int,
    typer.Option(help="How often a piece of work is repeated whose worker died.", rich_help_panel=_CLUSTER),
]
Patience = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Time after which a piece of work is taken from its worker.",
        rich_help_panel=_CLUSTER,
    ),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="For caches and temporary files, on each machine's own disk.",
        rich_help_panel=_CLUSTER,
    ),
]


def addressed(words: Sequence[str]) -> list[str]:
    """The words of a command line, with `auto` behind a ``--ray`` that no address follows.

    Example:
        >>> addressed(["--ray", "--retries", "1"]), addressed(["--ray", "local"])
        (['--ray', 'auto', '--retries', '1'], ['--ray', 'local'])
        >>> addressed([])
        []
    """
    following = [*words[1:], "-"]
    pairs = zip(words, following, strict=False)
    return [
        one
        for word, then in pairs
        for one in ([word, "auto"] if word == "--ray" and then.startswith("-") else [word])
    ]


class ClusterCommand(TyperCommand):
    """A command whose ``--ray`` may stand without an address, which Typer's options cannot."""

    def make_parser(self, ctx: Any) -> Any:
        """The reader of its words."""
        parser = super().make_parser(ctx)
        read = parser.parse_args
        parser.parse_args = lambda args: read(args=addressed(args))  # type: ignore[method-assign]
        return parser


def cluster_of(
    context: typer.Context,
    *,
    address: str | None,
    workers: int | None,
    cpus: int,
    gpus: float | None,
    retries: int,
    patience: float,
    scratch: Path | None,
) -> "Cluster | None":
    """The cluster that a command's options mean; None without ``--ray``.

    Raises:
        ConfigError: for an option that means nothing without ``--ray``.
        UserError: if Ray is not installed.
    """
    if address is None:
        # A sweep has workers without a cluster, too.
        for name in sorted(OPTIONS - ({"ray", "workers"} if context.info_name == "sweep" else {"ray"})):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise ConfigError(f"--{name.replace('_', '-')} is given without --ray", do="add --ray")
        return None
    from benchmark.cluster.connection import import_ray
    from benchmark.cluster.settings import Cluster

    import_ray()
    return Cluster(address, workers, cpus, gpus, retries, patience, scratch)
