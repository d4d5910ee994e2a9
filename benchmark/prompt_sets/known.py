"""Registers the published prompt sets: from the user's folder, the hub's cache, the hub, or a user's copy.

None of their prompts comes with fbench. ``--prompts parti`` looks for the set, ``--prompts PartiPrompts.tsv``
or the folder that holds it takes a copy. What is known of a set is stated here, and its size is checked.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final, TypeAlias

from benchmark.core.console import notice
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError, pasted
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import PromptSet
from benchmark.core.strict import Numbered
from benchmark.core.words import number_of
from benchmark.prompt_sets.base import registry
from benchmark.prompt_sets.fetching import Hub, Link, cached, fetched, prompts_folder
from benchmark.prompt_sets.files import file_rows, prompts_of, read_bytes

Files: TypeAlias = Mapping[str, list[Numbered]]
"""The rows of each file, by its name without the ending."""


def _one_file(files: Files) -> Iterable[Numbered]:
    return [row for rows in files.values() for row in rows]


def _by_style(files: Files) -> Iterable[Numbered]:
    """HPD v2's lists as one: a prompt's id is that of its image in HPS v2's folders, its tag the style."""
    for style, rows in files.items():
        for index, (number, row) in enumerate(rows):
            yield number, {**row, "id": f"{style}-{index:05d}", "category": style}


def _unique_captions(files: Files) -> Iterable[Numbered]:
    """Each caption of preference data once, in the order of first appearance."""
    seen: dict[Any, int] = {}
    for number, row in _one_file(files):
        seen.setdefault(row.get("caption"), number)
    return [(number, {"text": caption}) for caption, number in seen.items()]


@dataclass(frozen=True)
class KnownSet:
    """A published prompt set.

    Attributes:
        name: As in ``--prompts``.
        title: What people call it.
        size: How many prompts it has.
        parts: The files of a copy; of each the patterns of its name, in lower case, the first that fits.
        columns: A table with these columns and, but for `more`, no other is a copy.
        published: Who published it and where.
        licence: As stated there.
        home: Where it is fetched from.
        more: Columns that a copy may have.
        rows: What the prompts are, of the rows of its files.
    """

    name: str
    title: str
    size: int
    parts: tuple[tuple[str, ...], ...]
    columns: frozenset[str]
    published: str
    licence: str
    home: Hub | Link
    more: frozenset[str] = frozenset()
    rows: Callable[[Files], Iterable[Numbered]] = _one_file

    @property
    def summary(self) -> str:
        """One line for ``fbench list prompts``."""
        return (
            f"{self.title}, {self.size:,} prompts; {self.published}; licence {self.licence}; from {self.home}"
        )

    def files_in(self, folder: Path) -> list[Path]:
        """The files of a copy in a folder or the folders in it; empty if one of them is not there."""
        there = sorted(p for depth in ("*", "*/*") for p in folder.glob(depth) if p.is_file())
        found: list[Path] = []
        for patterns in self.parts:
            fitting = [[p for p in there if PurePath(p.name.lower()).match(pattern)] for pattern in patterns]
            found += next((paths for paths in fitting if paths), [])
            if not any(fitting):
                return []
        return found

    def is_copy(self, path: Path, rows: list[Numbered]) -> bool:
        """Whether a file looks like this set, by its columns; of data without any own, by its name."""
        has = {name for _, row in rows for name in row}
        if not self.columns <= has:
            return False
        if self.more:
            return has <= self.columns | self.more
        return has == self.columns or any(PurePath(path.name.lower()).match(p) for p in self.parts[0])


def read_copy(path: Path) -> PromptSet | None:
    """A published set from a user's copy: the file, or the folder that holds it; None if it is none.

    A copy of another size is a set of its own, and a line on stderr says so.

    Raises:
        UserError: if a folder holds several sets, or a file cannot be read.
    """
    if path.is_dir():
        copies = {known: files for known in KNOWN if (files := known.files_in(path))}
        if len(copies) > 1:
            names = [known.name for known in copies]
            raise UserError(
                f"{path} holds the prompt sets {', '.join(names)}",
                do=f"say which: --prompts \"{names[0]}(path='{path}')\"",
            )
        known, files = next(iter(copies.items()), (None, []))
    else:
        rows = _rows_of(path)
        known, files = next((k for k in KNOWN if k.columns and k.is_copy(path, rows)), None), [path]
    if known is None:
        return None
    found = _read(known, files)
    if len(found) == known.size:
        return found
    notice(
        f"{path} has {number_of(len(found), 'prompt')} and {known.title} has {known.size:,}: read as a set "
        "of its own"
    )
    return PromptSet(path.stem, found.version, found.prompts, found.sha256, source=path.name)


def load_known(known: KnownSet, path: str = "", *, offline: bool = False) -> PromptSet:
    """A published set as it was published.

    Args:
        known: Which.
        path: A user's copy, a file or a folder; empty: looked for, and fetched if it is nowhere.
        offline: Forbid every network access.

    Raises:
        UserError: if it is not there, cannot be fetched, or has not as many prompts as were published.
    """
    place = Path(path).expanduser() if path else prompts_folder() / known.name
    if path and not place.exists():
        raise MissingFileError(
            place,
            f"copy of {known.title}",
            allowed="the file or folder as it was published",
            do="name where yours lies, or leave the path out and it is fetched",
        )
    files = [place] if place.is_file() else known.files_in(place)
    if path and not files:
        wanted = ", ".join(patterns[0] for patterns in known.parts)
        raise UnreadableFileError(place, f"a copy of {known.title}", f"no {wanted} is in it")
    files = files or cached(known.home) or fetched(known.home, known.title, place, offline=offline)
    found = _read(known, files)
    if len(found) != known.size:
        where = place if path else files[0]
        raise UserError(
            f"{known.title} has {known.size:,} prompts, and {where} has {len(found):,}",
            do=f"{pasted('--prompts', where)} takes it as a set of its own",
        )
    return found


def _read(known: KnownSet, files: list[Path]) -> PromptSet:
    contents = {path.stem: path for path in files}
    try:
        prompts = prompts_of(known.rows({stem: _rows_of(path) for stem, path in contents.items()}))
    except ValueError as error:
        raise UnreadableFileError(files[0], known.title, error) from error
    digests = [sha256_bytes(read_bytes(path)) for path in files]
    digest = digests[0] if len(digests) == 1 else sha256_json(digests)
    try:
        return PromptSet(known.name, digest[:8], prompts, digest, known.published, known.licence)
    except ValueError as error:
        raise UnreadableFileError(files[0], known.title, error) from error


def _rows_of(path: Path) -> list[Numbered]:
    try:
        return file_rows(path, read_bytes(path))
    except ValueError as error:
        raise UnreadableFileError(path, "prompts", error) from error


HPD_STYLES: Final = ("anime", "concept-art", "paintings", "photo")
_GENEVAL: Final = (
    "https://raw.githubusercontent.com/djghosh13/geneval/af4902f24d3ca90ebbb446dd9891a59e0f82725f"
)

KNOWN: Final = (
    KnownSet(
        name="parti",
        title="PartiPrompts",
        size=1632,
        parts=(("partiprompts*.tsv", "partiprompts*.csv"),),
        columns=frozenset({"prompt", "category", "challenge", "note"}),
        published="Yu et al. 2022, github.com/google-research/parti",
        licence="Apache-2.0",
        home=Hub("nateraw/parti-prompts", ("PartiPrompts.tsv",)),
    ),
    KnownSet(
        name="hpdv2",
        title="the HPD v2 benchmark",
        size=3200,
        parts=tuple((f"{style}.json",) for style in HPD_STYLES),
        columns=frozenset(),
        published="Wu et al. 2023, github.com/tgxs002/HPSv2",
        licence="Apache-2.0, as stated at ymhao/HPDv2",
        home=Hub("zhwang/HPDv2", tuple(f"benchmark/{style}.json" for style in HPD_STYLES)),
        rows=_by_style,
    ),
    KnownSet(
        name="pickapic-test",
        title="Pick-a-Pic v2's test captions",
        size=500,
        parts=(("test_unique*.parquet", "test-*.parquet", "test.parquet"),),
        columns=frozenset({"caption", "label_0", "label_1"}),
        published="Kirstain et al. 2023, yuvalkirstain/pickapic_v2",
        licence="unknown",
        home=Hub(
            "yuvalkirstain/pickapic_v2_no_images",
            ("data/test_unique-00000-of-00001-e852c19ead276a89.parquet",),
        ),
        rows=_unique_captions,
    ),
    KnownSet(
        name="geneval",
        title="GenEval",
        size=553,
        parts=(("evaluation_metadata*.jsonl",),),
        columns=frozenset({"tag", "include", "prompt"}),
        more=frozenset({"exclude"}),
        published="Ghosh et al. 2023, github.com/djghosh13/geneval",
        licence="MIT",
        home=Link(
            f"{_GENEVAL}/prompts/evaluation_metadata.jsonl",
            "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13",
        ),
    ),
    KnownSet(
        name="drawbench",
        title="DrawBench",
        size=200,
        parts=(("*drawbench*.csv", "*draw_bench*.csv", "*drawbench*.parquet"),),
        columns=frozenset({"prompts", "category"}),
        published="Saharia et al. 2022, arXiv 2205.11487",
        licence="unknown",
        home=Hub("Jialuo21/DrawBench", ("data/test-00000-of-00001.parquet",)),
    ),
)


def _register(known: KnownSet) -> None:
    @registry.register(known.name, summary=known.summary)
    def load(path: str = "", *, offline: bool = False) -> PromptSet:
        return load_known(known, path, offline=offline)


for _known in KNOWN:
    _register(_known)
