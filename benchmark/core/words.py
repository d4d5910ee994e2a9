"""Numbers and lists in sentences."""

from collections.abc import Sequence


def number_of(count: int, one: str, several: str = "") -> str:
    """A number with its noun, in the singular or the plural.

    Args:
        count: How many.
        one: What one of them is.
        several: What several of them are; by default `one` with an s.

    Example:
        >>> number_of(1, "prompt"), number_of(1632, "prompt"), number_of(0, "process", "processes")
        ('1 prompt', '1,632 prompts', '0 processes')
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence, with commas and an "and".

    Args:
        words: At least one.

    Example:
        >>> listed(["clip"]), listed(["clip", "hps", "lpips"])
        ('clip', 'clip, hps and lpips')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
