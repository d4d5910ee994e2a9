"""What a scorer's column is called wherever people look: tables, figures and the page."""

from collections.abc import Iterable

from benchmark.core.records import ScorerColumn


def column_title(column: ScorerColumn) -> str:
    """The heading of a scorer's column, without its arrow.

    Example:
        >>> column_title(ScorerColumn("hps", "v2.1", "preference", "image", True))
        'hps'
        >>> column_title(ScorerColumn("hps", "v2.1", "preference", "image", True, embedded=True))
        'hps (embedded)'
    """
    return column.label


def titles_of(columns: Iterable[ScorerColumn]) -> dict[str, str]:
    """The titles by name, for what knows a scorer by its name alone."""
    return {column.name: column_title(column) for column in columns}


def headed(column: ScorerColumn) -> str:
    """The title with the arrow of its better direction.

    Example:
        >>> headed(ScorerColumn("fid", "2", "fidelity", "set", False))
        'fid ↓'
    """
    return f"{column_title(column)} {'↑' if column.higher_is_better else '↓'}"
