"""The long table of scores with the facts that a leaderboard needs, and its file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.core import resources, store
from benchmark.core.errors import MissingFileError, UnreadableFileError, pasted
from benchmark.core.hashing import sha256_bytes
from benchmark.core.manifest import FILE_NAME, read_manifest
from benchmark.core.records import Checkpoint, Cost, ScorerColumn, ScoreRow
from benchmark.core.records.scores import LARGEST

_FILE = "scores.parquet"
_METADATA_KEY = b"fbench"
_GOLDEN = "conformance/expected.json"
_METADATA_VERSION = 2
"""1: columns did not say whether toy weights stand for published ones."""
_SCHEMA = pa.schema(
    [
        ("checkpoint", pa.string()),
        ("scorer", pa.string()),
        ("scorer_version", pa.string()),
        ("prompt_id", pa.string()),
        ("seed", pa.int64()),
        ("value", pa.float64()),
        ("status", pa.string()),
        ("note", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """All scores of one evaluation.

    Attributes:
        rows: One ScoreRow a row, columns as its fields.
        suite: Name of the prompt set and its size, such as ``shapes-core@1: 96 prompts x 8 images``.
        signature: See :func:`benchmark.leaderboard.comparability.signature_line`.
        checkpoints: Who was evaluated, in the order to show.
        columns: Who scored, in the order to show.
        n_prompts: Prompts in the set.
        images_per_prompt: K.
        source: Where the rows come from: a path or a hash.
        costs: What each checkpoint cost, by id; it may lack some.
        tags: What each prompt is about, by id; empty where that was not written down.
        prompts: What each prompt asks for, by id, see :attr:`benchmark.core.records.Prompt.content`; empty
            where that was not written down.
        remarks: Sentences on how tables were joined; they are not kept in the file.
    """

    rows: pd.DataFrame
    suite: str
    signature: str
    checkpoints: tuple[Checkpoint, ...]
    columns: tuple[ScorerColumn, ...]
    n_prompts: int
    images_per_prompt: int
    source: str = ""
    costs: Mapping[str, Cost] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def rows_of(self, scorer: str) -> pd.DataFrame:
        """The rows of one scorer, by name; none if it has none."""
        return self.rows[self.rows["scorer"] == scorer]

    def base(self, reference: str = "") -> str | None:
        """Id of the base model that gains are over: the reference if it is one, else the first there is."""
        ids = [checkpoint.id for checkpoint in self.checkpoints if checkpoint.is_base]
        return reference if reference in ids else next(iter(ids), None)


def rows_to_frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """The long table of score rows, typed as in ``scores.parquet``.

    Args:
        rows: In any order.

    Returns:
        One line a row; ``seed`` is a nullable integer, ``value`` is ``NaN`` where there is none.
    """
    names = [f.name for f in fields(ScoreRow)]
    listed = [{name: getattr(row, name) for name in names} for row in rows]
    return _frame(pa.Table.from_pylist(listed, schema=_SCHEMA))


def write_score_table(table: ScoreTable, path: Path) -> Path:
    """Writes rows and facts as one parquet file, whole or not at all.

    The facts travel in the schema's metadata; the place of the weights does not.

    Args:
        table: What to write.
        path: Where to.

    Returns:
        The path.
    """
    facts = {
        "version": _METADATA_VERSION,
        "suite": table.suite,
        "signature": table.signature,
        "checkpoints": [{**asdict(c), "path": None} for c in table.checkpoints],
        "columns": [asdict(column) for column in table.columns],
        "n_prompts": table.n_prompts,
        "images_per_prompt": table.images_per_prompt,
        "costs": {id_: asdict(cost) for id_, cost in table.costs.items()},
        "tags": table.tags,
        "prompts": table.prompts,
    }
    arrow = pa.Table.from_pandas(table.rows, schema=_SCHEMA, preserve_index=False)
    arrow = arrow.replace_schema_metadata({_METADATA_KEY: json.dumps(facts, sort_keys=True)})
    with store.atomic_file(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")
    return path


def read_score_table(path: Path, command: str = "eval") -> ScoreTable:
    """Reads what :func:`write_score_table` wrote.

    Args:
        path: A ``scores.parquet``, or the folder of the evaluation that holds one.
        command: Words of the command that makes such tables, for who names a place where there is none.

    Returns:
        The table, with the path as its source.

    Raises:
        MissingFileError: If there is no such file.
        UnreadableFileError: If it is no parquet file, not one of ours, or not what the finished evaluation in
            its folder wrote.
    """
    path = path / _FILE if path.is_dir() else path
    if not path.is_file():
        folder = path.parent if path.suffix == ".parquet" else path
        below = sorted(str(table.parent) for table in folder.glob(f"*/{_FILE}"))
        make = f"run {pasted('fbench', *command.split(), '--out', folder)} first"
        raise MissingFileError(
            path,
            "score table",
            allowed=f"a folder that `fbench {command}` wrote, or its {_FILE}",
            do=f"name one in it: {', '.join(below)}" if below else make,
        )
    content = path.read_bytes()
    _refuse_damaged(path, sha256_bytes(content))
    arrow = store.read_parquet(path, _SCHEMA.names, content)
    try:
        facts = json.loads((arrow.schema.metadata or {})[_METADATA_KEY])
        if facts["version"] > _METADATA_VERSION:
            raise ValueError(f"written by a newer fbench (version {facts['version']})")
        return ScoreTable(
            rows=_frame(arrow.cast(_SCHEMA)),
            suite=facts["suite"],
            signature=facts["signature"],
            checkpoints=tuple(Checkpoint(**c) for c in facts["checkpoints"]),
            columns=tuple(_column(c) for c in facts["columns"]),
            n_prompts=facts["n_prompts"],
            images_per_prompt=facts["images_per_prompt"],
            source=str(path),
            # Tables of before these were written have none of them.
            costs={id_: Cost(**cost) for id_, cost in facts.get("costs", {}).items()},
            tags={id_: tuple(tags) for id_, tags in facts.get("tags", {}).items()},
            prompts=facts.get("prompts", {}),
        )
    except (pa.ArrowException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(path, "a score table of fbench eval", error) from error


def _refuse_damaged(path: Path, sha256: str) -> None:
    """Holds a table against the manifest beside it; one that stands alone is read as it is."""
    if not (path.parent / FILE_NAME).is_file():
        return
    manifest = read_manifest(path.parent)
    written = {Path(item.path).name: item.sha256 for item in manifest.outputs}.get(path.name)
    # While an evaluation is at work its table is newer than its manifest.
    if manifest.status == "success" and written and written != sha256:
        do = "give the command that made it again: it writes the table from the scores it kept"
        raise UnreadableFileError(path, "the table of that evaluation", "its bytes are others now", do)


def _column(facts: Mapping[str, Any]) -> ScorerColumn:
    # Tables of before bounds were written have none.
    lists = {name: tuple(facts[name]) for name in ("in_domain", "bounds") if name in facts}
    column = ScorerColumn(**{**facts, **lists})
    if "embedded" in facts:
        return column
    known = _toy_versions(resources.shapes_data() / _GOLDEN)
    return replace(column, embedded=(column.name, column.version.replace("+bf16", "")) in known)


@lru_cache(maxsize=4)
def _toy_versions(golden: Path) -> frozenset[tuple[str, str]]:
    """Names and versions of the toy models that stand for published ones: tables of before say no more."""
    from benchmark.scorers import scorers

    found = store.read_json(golden, "golden scores") if golden.is_file() else {}
    versions = ((call.partition("(")[0], scores["version"]) for call, scores in found.items())
    return frozenset(
        (name, version)
        for name, version in versions
        if name in scorers and getattr(scorers.get(name), "published", None)
    )


def _frame(arrow: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = arrow.to_pandas(integer_object_nulls=False)
    seed = arrow.column("seed")
    numbers = seed.fill_null(0).to_numpy().copy()
    frame["seed"] = pd.arrays.IntegerArray(numbers, seed.is_null().to_numpy().copy())
    beyond = frame[frame["value"].abs() > LARGEST]
    if len(beyond):
        first = beyond.iloc[0]
        who = f"{first['scorer']} of {first['checkpoint']}"
        raise ValueError(f"{who} is {first['value']:g}, and statistics carry {LARGEST:g}")
    return frame
