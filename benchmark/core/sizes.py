"""Sizes of files in words."""


def said_size(count: int) -> str:
    """Bytes as a person reads them; a dash where they are not known.

    Example:
        >>> said_size(3_940_000_000), said_size(485), said_size(0)
        ('3.94 GB', '485 B', '-')
    """
    if not count:
        return "-"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count} B"
