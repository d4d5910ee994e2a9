"""Puts template, style, scripts and data into one file that needs nothing else and lets nothing in."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmark.core.store import write_text
from benchmark.generate import Progress
from benchmark.report.page.content import PageSource, content_of, plan_of
from benchmark.report.page.pictures import PICTURE_MEGABYTES, pictures_of
from benchmark.report.palette import COLOURS, dark, on_dark

_ASSETS: Final = Path(__file__).parent / "assets"
_SCRIPTS: Final = (
    "dom",
    "hints",
    "filter",
    "sorting",
    "leaderboard",
    "plane",
    "layers",
    "trade_off",
    "hacking",
    "tags",
    "pictures",
    "zoom",
    "curves",
    "records",
    "state",
    "main",
)
"""In the order in which they stand in the page; one scope holds them all."""

# What would end a script element, begin a comment, or end a line in old JavaScript.
_HARMLESS: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def write_page(
    source: PageSource, path: Path, *, megabytes: float = PICTURE_MEGABYTES, tell: Progress | None = None
) -> Path:
    """Writes the page, whole or not at all.

    Args:
        source: What to show.
        path: Where to.
        megabytes: Room for pictures, in millions of bytes.
        tell: Told of pictures that are done.

    Returns:
        The path.
    """
    write_text(path, page_html(source, megabytes=megabytes, tell=tell))
    return path


def page_html(
    source: PageSource, *, megabytes: float = PICTURE_MEGABYTES, tell: Progress | None = None
) -> str:
    """The page: equal input gives equal text.

    Args:
        source: What to show.
        megabytes: Room for pictures, in millions of bytes.
        tell: Told of pictures that are done.

    Returns:
        A whole HTML document.
    """
    plan = plan_of(source)
    pictures = pictures_of(source.image_sets, plan.checkpoints, plan.prompts, plan.seeds, megabytes, tell)
    content = content_of(source, plan) | {
        "pictures": {
            "kept": pictures.kept,
            "total": pictures.total,
            "note": pictures.note,
            "small": pictures.small,
            "side": pictures.side,
            "made": pictures.made,
            "faults": pictures.faults,
        }
    }
    style, script = _style(), _script()
    environment = Environment(
        loader=FileSystemLoader(_ASSETS), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        title=source.leaderboard.suite.encode(errors="replace").decode(),
        policy=_policy(style, script),
        style=style,
        script=script,
        content=safe_json(content),
        pictures=pictures.blocks.items(),
    )


def safe_json(value: Any) -> str:
    r"""JSON that cannot leave the script element it stands in; other than ASCII is escaped.

    Example:
        >>> print(safe_json({"text": "</script>&"}))
        {"text":"\u003c/script\u003e\u0026"}
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_HARMLESS)


def _style() -> str:
    return palette_css() + (_ASSETS / "page.css").read_text(encoding="utf-8")


def palette_css() -> str:
    """The methods' colours as those of the figures, lighter where the page is dark, and their edges."""
    light = "".join(f"--m{i}: {c}; --e{i}: {dark(c)}; " for i, c in enumerate(COLOURS))
    night = "".join(f"--m{i}: {on_dark(c)}; --e{i}: {on_dark(c)}; " for i, c in enumerate(COLOURS))
    classes = "".join(f".m{i} {{ color: var(--m{i}); --edge: var(--e{i}); }}\n" for i in range(len(COLOURS)))
    return (
        f":root {{ {light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {night}}} }}\n"
        f"{classes}"
    )


def _script() -> str:
    parts = [(_ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join(['"use strict";', "(() => {", *parts, "})();"])


def _policy(style: str, script: str) -> str:
    """The page's own style and script may act, pictures come from the page, nothing else is allowed."""
    return "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
