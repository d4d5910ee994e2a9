"""The tables beside the scores: the front, gains where they do not count, costs, and tags."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.core.records import Gap, Leaderboard, Plane, ScorerColumn, TagCell
from benchmark.report.numbers import decimals, fixed, signed
from benchmark.report.titles import headed, titles_of

UNKNOWN = "–"
_COSTS = (("train_seconds", "train s"), ("eval_seconds", "eval s"), ("memory_gb", "memory GB"))
_GAPS = {
    "hacking": "hacking: gain on a scorer that knows the training data, less the mean of held-out ones",
    "proxy gap": "proxy gap: gain on {pickscore} less that of the true reward",
    "taste transfer": "taste transfer: gain for the population trained for, less that for another one",
    "content loss": "content loss: fall of the oracle",
}


@dataclass(frozen=True)
class Section:
    """A small table of text.

    Attributes:
        title: What it is about.
        header: Names of the columns; a line break may part one.
        rows: Cells, the first of each row its name.
        notes: Sentences below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def split(self, room: int, *, name: int | None = None) -> Iterator["Section"]:
        """The section in parts that fit, each with the first column; the notes go with the last.

        Args:
            room: Letters beside each other, two of them between columns.
            name: Letters that the first column takes; None for its longest cell.
        """
        lines = [self.header, *self.rows]
        widths = [
            max(len(word) for line in lines for word in line[i].split("\n")) + 2
            for i in range(len(self.header))
        ]
        first = widths[0] if name is None else name + 2
        parts: list[list[int]] = [[]]
        used = first
        for i, width in enumerate(widths[1:], 1):
            if parts[-1] and used + width > room:
                parts.append([])
                used = first
            parts[-1].append(i)
            used += width
        for part in parts:
            chosen = [0, *part]
            yield Section(
                self.title,
                tuple(self.header[i] for i in chosen),
                tuple(tuple(row[i] for i in chosen) for row in self.rows),
                self.notes if part is parts[-1] else (),
            )


def sections(board: Leaderboard) -> tuple[Section, ...]:
    """The tables beside that of the scores, as far as the leaderboard has them."""
    found = [beside(board), *tag_sections(board)]
    return tuple(section for section in found if section is not None and len(section.header) > 1)


def signature_of(board: Leaderboard) -> str:
    """The signature with the reference points that hypervolumes beside it depend on."""
    corners = [
        f"hv:{plane.across}@{plane.corner[0]:.4g},{plane.upward}@{plane.corner[1]:.4g}"
        for plane in board.planes
        if plane.corner is not None and plane.front_notes
    ]
    return "|".join([board.signature, *corners])


def beside(board: Leaderboard) -> Section:
    """For each checkpoint the front, the gaps, and what it cost."""
    columns: list[tuple[str, dict[str, str]]] = []
    notes: list[str] = []
    titles = titles_of(board.columns)
    for plane in board.planes:
        axes = [titles.get(name, name) for name in (plane.across, plane.upward)]
        columns += _front(plane, [] if len(board.planes) == 1 else axes)
        notes += [_front_note(*axes), *plane.front_notes]
    by_kind: dict[tuple[str, str], dict[str, Gap]] = {}
    for gap in board.gaps:
        by_kind.setdefault((gap.kind, gap.gained), {})[gap.checkpoint] = gap
    for (kind, gained), found in by_kind.items():
        name = f"{kind}\n{titles.get(gained, gained)}" if kind == "hacking" else kind
        columns.append((name, {id_: gap_text(gap) for id_, gap in found.items()}))
    kinds = dict.fromkeys(gap.kind for gap in board.gaps)
    if kinds:
        pickscore = titles.get("pickscore", "pickscore")
        explained = "; ".join(_GAPS[kind].format(pickscore=pickscore) for kind in kinds)
        notes.append(f"In within-prompt SD of the base, with 95 % intervals: {explained}.")
    for field, name in _COSTS:
        known = {row.checkpoint.id: getattr(row.cost, field) for row in board.rows}
        if any(value is not None for value in known.values()):
            columns.append((name, {id_: cost_text(value) for id_, value in known.items()}))
    rows = [
        (row.checkpoint.id, *(cells.get(row.checkpoint.id, UNKNOWN) for _, cells in columns))
        for row in board.rows
    ]
    return Section(
        "Beside the scores", ("checkpoint", *(name for name, _ in columns)), tuple(rows), tuple(notes)
    )


def cost_text(value: float | None) -> str:
    """Seconds or GB to three digits; an en dash where they are not known.

    Example:
        >>> cost_text(1234.5), cost_text(0.51234), cost_text(None)
        ('1234', '0.51', '–')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def gap_text(gap: Gap) -> str:
    """A gap with its interval.

    Example:
        >>> gap_text(Gap("dpo", "hacking", "pickscore", ("hps",), 0.2, 0.05, 0.35))
        '+0.20 [+0.05, +0.35]'
    """
    if gap.lo is None or gap.hi is None:
        return signed(gap.value, 2)
    return f"{signed(gap.value, 2)} [{signed(gap.lo, 2)}, {signed(gap.hi, 2)}]"


def _front(plane: Plane, axes: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    of = "".join(f"\n{axis}" for axis in axes)
    return [
        (f"front{of}", {p.checkpoint: "may be on" if p.may_be_on_front else "off" for p in plane.points}),
        (f"support{of}", {p.checkpoint: f"{100 * p.support:.0f} %" for p in plane.points}),
    ]


def _front_note(across: str, upward: str) -> str:
    return (
        f"Front of {across} and {upward}: its 95 % confidence set, max-t over pairs; support is "
        "the share of resamples on the front, no probability."
    )


def tag_sections(board: Leaderboard) -> Iterator[Section]:
    """A section for each scorer: a line a tag, the reference's mean, then the others' differences."""
    for column in board.columns:
        cells = [cell for cell in board.by_tag if cell.scorer == column.name]
        if cells:
            yield _tag_section(board, column, cells)


def _tag_section(board: Leaderboard, column: ScorerColumn, cells: Sequence[TagCell]) -> Section:
    at = board.columns.index(column)
    places = decimals(row.cells[at] for row in board.rows)
    by_tag: dict[str, dict[str, TagCell]] = {}
    for cell in cells:
        by_tag.setdefault(cell.tag, {})[cell.checkpoint] = cell
    others = [row.checkpoint.id for row in board.rows if row.checkpoint.id != board.reference]
    rows = []
    for tag, own in by_tag.items():
        reference = own[board.reference]
        mean = UNKNOWN if reference.mean is None else fixed(reference.mean, places)
        rows.append((tag, str(reference.n_prompts), mean, *(tag_text(own[id_], places) for id_ in others)))
    return Section(
        f"{headed(column)} by tag",
        ("tag", "prompts", board.reference, *others),
        tuple(rows),
        (f"Mean of {board.reference}, then paired differences from it with 95 % intervals, no p values.",),
    )


def tag_text(cell: TagCell, places: int) -> str:
    """The difference of a tag with its interval."""
    if cell.difference is None:
        return UNKNOWN
    if cell.lo is None or cell.hi is None:
        return signed(cell.difference, places)
    return f"{signed(cell.difference, places)} [{signed(cell.lo, places)}, {signed(cell.hi, places)}]"
