"""What a scorer's column is called wherever people look: tables, figures and the page."""

from benchmark.core.records import ScorerColumn


def column_title(column: ScorerColumn) -> str:
    """The heading of a scorer's column, without its arrow.

    Example:
        >>> column_title(ScorerColumn("hps", "v2.1", "preference", "image", True))
        'hps'
    """
    return column.name


def headed(column: ScorerColumn) -> str:
    """The title with the arrow of its better direction.

    Example:
        >>> headed(ScorerColumn("fid", "2", "fidelity", "set", False))
        'fid ↓'
    """
    return f"{column_title(column)} {'↑' if column.higher_is_better else '↓'}"
