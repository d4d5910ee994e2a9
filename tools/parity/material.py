"""32 images of every size and mode that people have, 32 prompts of every kind that they write."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.core.pixels import read_rgb

IMAGES: Final[Sequence[tuple[int, int, str]]] = (
    (512, 512, "RGB"), (224, 224, "RGB"), (223, 225, "RGB"), (225, 223, "RGB"), (224, 301, "RGB"),
    (303, 224, "RGB"), (64, 64, "RGB"), (63, 65, "RGB"), (640, 480, "RGB"), (480, 640, "RGB"),
    (1024, 768, "RGB"), (500, 100, "RGB"), (100, 500, "RGB"), (1001, 201, "RGB"), (33, 165, "RGB"),
    (768, 768, "RGB"), (513, 511, "RGB"), (448, 448, "RGB"), (299, 299, "RGB"), (17, 23, "RGB"),
    (256, 256, "L"), (333, 217, "L"), (320, 240, "JPEG"), (239, 321, "JPEG"),
    (256, 192, "P"), (201, 301, "1"), (320, 320, "CMYK"), (250, 251, "RGBA"), (180, 320, "RGBA"),
    (222, 226, "LA"), (300, 200, "I;16"), (160, 160, "I;16"),
)  # fmt: skip
"""Width, height and mode; `JPEG` is RGB in a JPEG file."""

PROMPTS: Final[Sequence[str]] = (
    "a photo of a cat",
    "two dogs playing chess on a wooden table, golden hour, 35mm",
    "AN ASTRONAUT RIDING A HORSE ON MARS, ARTSTATION",
    "Tom &amp; Jerry",
    "salt &amp;amp; pepper, &lt;b&gt;bold&lt;/b&gt;",
    "it&#39;s a &quot;quoted&quot; sign that says &quot;OPEN&quot;",
    "a red cube 🟥 on a blue sphere 🔵",
    "🐱‍👤🎨✨ ninja cat, digital art 🇫🇷",
    "une école française près de l'été, crème brûlée",
    "夕暮れの富士山、浮世絵",
    "красный квадрат на чёрном фоне",
    "قطة تجلس على كرسي",
    "고양이 세 마리와 강아지 한 마리",
    "the quick brown fox jumps over the lazy dog " * 12,
    ", ".join(f"{n} {thing}" for n, thing in enumerate(("apples", "pears", "lamps", "hats") * 12)),
    "ultra-detailed, masterpiece, 8k, trending on artstation, octane render, " * 9,
    "a",
    ".",
    "x y",
    "1234567890 42 7 3.14159",
    "a teapot!!!??? -- (very:1.3) [blurry] {sharp} <lora:x:0.8>",
    "don't, can't, we'll, they've, I'm, she'd, John's",
    "“curly quotes” and an em—dash… and a ﬁ ligature",
    "schÃ¶n mojibake of a cafÃ©",
    "   spaces   and\ttabs\nand lines   ",
    "snake_case CamelCase kebab-case",
    "a watercolour of a lighthouse in a storm by a Dutch master",
    "three green bottles left of one yellow star",
    "portrait of an old fisherman, Rembrandt lighting",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "a\u200bzero\u200bwidth\u00a0space and a soft\u00adhyphen",
    "A Photo Of A CAT",
)

LOSSY: Final = frozenset({"P", "1", "CMYK", "RGBA", "LA", "I;16"})
"""Modes that the originals resize as they are, cut, drop transparency from, or refuse: see `Case.given`."""


@dataclass(frozen=True)
class Case:
    """One image with its prompt.

    Attributes:
        id: Of the prompt.
        prompt: The text.
        mode: Of `IMAGES`.
        raw: The file, which our side always reads.
        decoded: Its pixels as we decode them, as an RGB PNG.
    """

    id: str
    prompt: str
    mode: str
    raw: Path
    decoded: Path

    @property
    def given(self) -> Path:
        """What the original is given: the same file, or our pixels where it would read others."""
        return self.decoded if self.mode in LOSSY else self.raw


def write_cases(folder: Path, images: Sequence[tuple[int, int, str]] = ()) -> list[Case]:
    """Writes the images, and `cases.jsonl` for `fbench score`.

    Args:
        folder: Where they go.
        images: Other ones than `IMAGES`; the first of the prompts go with them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for i, ((width, height, mode), prompt) in enumerate(zip(images or IMAGES, PROMPTS, strict=False)):
        raw = write_image(folder, f"{i:02d}", width, height, mode)
        decoded = folder / f"{i:02d}-decoded.png"
        Image.fromarray(read_rgb(raw)).save(decoded)
        cases.append(Case(f"p{i:02d}", prompt, mode, raw.resolve(), decoded.resolve()))
    rows = [{"prompt_id": c.id, "prompt": c.prompt, "image_path": c.raw.name} for c in cases]
    write_rows(folder / "cases.jsonl", rows)
    return cases


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes what `fbench score` reads."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_image(folder: Path, name: str, width: int, height: int, mode: str) -> Path:
    """One picture, the same for the same name: a coarse field, a fine one and hard edges."""
    pixels = _pixels(int(name), width, height)
    image = Image.fromarray(pixels)
    path = folder / f"{name}.{'jpg' if mode == 'JPEG' else 'tif' if mode == 'CMYK' else 'png'}"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    elif mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(pixels[::-1, ::-1, 0].copy()))
        image = image.convert(mode)
    elif mode != "JPEG":
        image = image.convert(mode)
    image.save(path)
    return path


def _pixels(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    field = np.zeros((height, width, 3))
    for side, weight in ((4, 0.55), (24, 0.3)):
        coarse = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        field += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float)
    field += 0.15 * rng.integers(0, 256, (height, width, 3))
    left, top = rng.integers(0, width // 2), rng.integers(0, height // 2)
    field[top : top + height // 3, left : left + width // 3] = rng.integers(0, 256, 3)
    out: NDArray[np.uint8] = np.clip(np.rint(field), 0, 255).astype(np.uint8)
    return out
