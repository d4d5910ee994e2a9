"""The tree of errors, and the exit code each of them ends a command with.

    FbenchError                 1   a bug, unless a subclass says otherwise
    ├── UserError               2   something the user can put right: one line, never a traceback
    │   ├── UnknownNameError        a name nobody registered, with its close matches
    │   ├── ConfigError             an unknown key or an impossible value
    │   ├── MissingFileError        a file or folder that is not there
    │   ├── UnreadableFileError     a file that is there and is not what it should be
    │   ├── MissingWeightsError     published weights that are absent, e.g. under ``--offline``
    │   ├── RefusedBySystemError    what the operating system does not allow: rights, sizes, memory
    │   │   └── DiskFullError           not enough room for what the command is about to write
    │   ├── InUseError              a folder that another command is writing to
    │   └── NotComparableError      numbers whose signatures differ
    └── MissingRowsError        4   the evaluation finished, and some of its rows have no value

``KeyboardInterrupt`` ends a command with 130, after SIGTERM with 143, and a stdout that nobody reads with
141, as a shell expects.
"""

import re
import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

EXIT_OK = 0
EXIT_BUG = 1
EXIT_REGRESSION = 1
EXIT_USER = 2
EXIT_INCONCLUSIVE = 3
EXIT_MISSING_ROWS = 4
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_TERMINATED = 143

_READ_AT_A_GLANCE = 20
"""Names that a message lists beside those that are probably meant."""


class FbenchError(Exception):
    """Everything this project raises on purpose."""

    exit_code = EXIT_BUG


class UserError(FbenchError):
    """Something the user can put right, told in one line.

    Args:
        given: What was given and why it cannot be used.
        allowed: What would have been accepted.
        do: What to do now; best a command.

    Example:
        >>> str(UserError("--steps is -3", allowed="a positive number", do="leave it out for 200"))
        '--steps is -3; allowed: a positive number; leave it out for 200'
    """

    exit_code = EXIT_USER

    def __init__(self, given: str, *, allowed: str = "", do: str = "") -> None:
        self.given = given
        self.allowed = allowed
        self.do = do
        parts = [given, f"allowed: {allowed}" if allowed else "", do]
        # Messages of other libraries come in several lines; a user gets one.
        super().__init__(" ".join("; ".join(part for part in parts if part).split()))

    def __reduce__(self) -> tuple[object, ...]:
        """Survives the way back from a worker process, whatever a subclass's constructor takes."""
        return _rebuild, (type(self), str(self), self.given, self.allowed, self.do)


class UnknownNameError(UserError):
    """A name nobody registered.

    Args:
        kind: What was looked for, in words: "divergence", "scorer".
        name: The name as given.
        known: All the names there are. Of more than 20 only the close ones are written, where there are any.
        do: What to do when no name is close.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], do: str = "") -> None:
        names = sorted(known)
        close = close_matches(name, names)
        hint = f"did you mean {' or '.join(close)}?" if close else do
        many = bool(close) and len(names) > _READ_AT_A_GLANCE
        allowed = f"one of {len(names)} names" if many else ", ".join(names) or "none"
        hint = f"{hint} {do}".strip() if many else hint
        super().__init__(f"unknown {kind} {name!r}", allowed=allowed, do=hint)


class ConfigError(UserError):
    """An unknown key or an impossible value in flags or in a ``--config`` file."""


class MissingFileError(UserError):
    """A file or folder that is not there; names what stands beside it under a similar name.

    Args:
        path: Where it was looked for.
        what: What it is, in words.
        allowed: What may be named there, where a user named it.
        do: What to do where nothing beside it has a similar name.
    """

    def __init__(self, path: str | Path, what: str, *, allowed: str = "", do: str) -> None:
        path = Path(path)
        # A folder may be there and not be what it should: it is no name that was meant instead.
        beside = (
            [p.name for p in path.parent.iterdir() if p.name != path.name] if path.parent.is_dir() else []
        )
        close = close_matches(path.name, beside)
        # A relative path was typed, and its repair can be typed in its place.
        meant = close if path.is_absolute() else [str(path.with_name(name)) for name in close]
        hint = f"did you mean {' or '.join(meant)}?" if meant else do
        super().__init__(f"no {what} at {path}", allowed=allowed, do=hint)


class UnreadableFileError(UserError):
    """A file that is there and is not what it should be."""

    def __init__(self, path: str | Path, expected: str, why: object = "", do: str = "") -> None:
        reason = f" ({_first_line(why)})" if str(why) else ""
        super().__init__(f"cannot read {path} as {expected}{reason}", do=do)


class MissingWeightsError(UserError):
    """Published weights that are not on this machine."""


class RefusedBySystemError(UserError):
    """What the operating system does not allow: rights, sizes, memory; never a reason to go on without."""


class DiskFullError(RefusedBySystemError):
    """Not enough room for what the command is about to write."""


class InUseError(UserError):
    """A folder that another command is writing to at this moment."""


class NotComparableError(UserError):
    """Numbers that must not stand side by side, because their signatures differ."""


class MissingRowsError(FbenchError):
    """The evaluation finished, and some of its rows have no value.

    Args:
        missing: How many rows have no value.
        total: How many rows there are.
        where: The folder that holds them.
    """

    exit_code = EXIT_MISSING_ROWS

    def __init__(self, missing: int, total: int, where: str | Path = "") -> None:
        self.missing = missing
        self.total = total
        self.where = where
        place = f"; their status and note are in {where}" if str(where) else ""
        super().__init__(f"finished, but {missing} of {total} rows have no value{place}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survives the way back from a worker process."""
        return type(self), (self.missing, self.total, self.where)


def pasted(*words: object) -> str:
    """A command as a message shows it, which a shell takes as it stands: paths with spaces are quoted.

    Example:
        >>> pasted("fbench", "eval", "--out", Path("my runs/a"))
        "`fbench eval --out 'my runs/a'`"
    """
    return f"`{shlex.join(map(str, words))}`"


def close_matches(word: str, known: Iterable[str]) -> list[str]:
    """The known words that a mistyped or shortened one may mean, at most three, best first.

    Example:
        >>> names = ["alpha", "forward_kl", "jensen_shannon", "reverse_kl"]
        >>> [close_matches(word, names) for word in ("revers-kl", "kl", "js")]
        [['reverse_kl'], ['forward_kl', 'reverse_kl'], ['jensen_shannon']]
    """
    spelled = {w.lower().replace("-", "_"): w for w in known}
    typed = word.lower().replace("-", "_")
    shortened = [w for w in spelled if _is_short_for(typed, w) or _is_short_for(w, typed)]
    similar = get_close_matches(typed, spelled, 3, 0.6)
    return [spelled[m] for m in dict.fromkeys([*shortened, *similar])][:3]


def _is_short_for(short: str, word: str) -> bool:
    """Whether it is a part of the word, its beginning, or its initials, as in KL, JS and JSD.

    Example:
        >>> [_is_short_for(s, "jensen_shannon") for s in ("jensen", "jensensh", "js", "jsd", "en")]
        [True, True, True, True, False]
    """
    parts = [part for part in re.split(r"[\W_]+", word) if part]
    initials = "".join(part[0] for part in parts) if len(parts) > 1 else ""
    # However it is written together, as fdpo for f_dpo.
    bare, letters = re.sub(r"[\W_]+", "", word), re.sub(r"[\W_]+", "", short)
    beginning = len(letters) >= 3 and bare.startswith(letters)
    return short in parts or beginning or (bool(initials) and short in (initials, f"{initials}d"))


def _first_line(why: object) -> str:
    return str(why).strip().splitlines()[0] if str(why).strip() else ""


def _rebuild(kind: type[UserError], message: str, given: str, allowed: str, do: str) -> UserError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.given, error.allowed, error.do = given, allowed, do
    return error
