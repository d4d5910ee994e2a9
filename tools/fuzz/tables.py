"""Tables of pairs, of images to score, of prompts: no row may be lost or read as another."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmark.core.store import read_scores
from benchmark.prompt_sets import read_prompt_file
from tools.fuzz.judging import Silent, Target, Verdict, run
from tools.fuzz.mutations import damaged_bytes, damaged_lines
from trainers.pairs import load_pairs

ROWS = 24


def picture(seed: int, side: int = 32) -> bytes:
    """A PNG of coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def preference_rows(n: int = ROWS) -> list[dict[str, Any]]:
    """Rows with Pick-a-Pic's columns, captions all different."""
    return [
        {
            "caption": f"thing number {i}",
            "jpg_0": picture(2 * i),
            "jpg_1": picture(2 * i + 1),
            "label_0": float(i % 2),
            "label_1": float(1 - i % 2),
        }
        for i in range(n)
    ]


class Pairs(Target):
    """Parquet of preference pairs, against pyarrow's own reading of it."""

    name: ClassVar[str] = "pairs"
    share: ClassVar[float] = 0.2

    def __init__(self, folder: Path) -> None:
        self._rows = preference_rows()
        self._path = folder / "pairs.parquet"
        pq.write_table(pa.Table.from_pylist(self._rows), self._path, row_group_size=8)
        self._sound = self._path.read_bytes()
        self._hash = load_pairs(str(self._path), held_out=0).sha256
        self.judge()

    def damage(self, rng: Random) -> str:
        if rng.random() < 0.6:
            mutation = damaged_bytes(self._sound, rng)
            self._path.write_bytes(mutation.data)
            return mutation.name
        return self._other_cells(rng)

    def _other_cells(self, rng: Random) -> str:
        """Another value in a cell, a column renamed or left out: a sound file of another content."""
        rows = [dict(row) for row in self._rows]
        column = rng.choice(list(rows[0]))
        what = rng.choice(["no value", "another value", "no column", "another name", "twice"])
        row = rng.choice(rows)
        if what == "no value":
            row[column] = None
        elif what == "another value":
            value = row[column]
            row[column] = 1.0 - value if isinstance(value, float) else value[:-3] if value else value
        elif what == "twice":
            rows.append(row)
        else:
            for each in rows:
                kept = each.pop(column)
                if what == "another name":
                    each[f"{column}_"] = kept
        pq.write_table(pa.Table.from_pylist(rows), self._path)
        return f"{what}: {column}"

    def judge(self) -> Verdict:
        data = load_pairs(str(self._path), held_out=0, max_bad_share=1.0)
        try:
            rows = pq.read_table(self._path).to_pylist()
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise Silent(f"read, although pyarrow refuses it: {error}") from error
        if data.read != len(rows) or len(data.train) + data.ties + len(data.bad) != len(rows):
            raise Silent(
                f"{data.read} rows read, {len(data.train)} pairs, {len(data.bad)} bad; {len(rows)} are there"
            )
        for pair in data.train.pairs:
            assert pair.preferred.row is not None
            row = rows[pair.preferred.row]
            best = 0 if row["label_0"] > row["label_1"] else 1
            if row["caption"] != pair.prompt or pair.preferred.column != f"jpg_{best}":
                raise Silent(
                    f"row {pair.preferred.row} is read as {pair.prompt!r} with {pair.preferred.column}"
                )
        same = rows == self._rows
        if same != (data.sha256 == self._hash):
            raise Silent(
                "other pairs have the hash of the first ones" if not same else "one content has two hashes"
            )
        return Verdict("same" if same else "as stated")


class Listings(Target):
    """A JSONL of images to score: a row of it is a row of scores, each with its own image's number."""

    name: ClassVar[str] = "listings"
    share: ClassVar[float] = 0.1

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        rows = []
        for i in range(6):
            (folder / f"{i}.png").write_bytes(picture(i, 8 + 4 * i))
            rows.append(
                {"id": f"p{i // 2}", "prompt": f"thing {i // 2}", "image_path": f"{i}.png", "seed": i % 2}
            )
        self._path = folder / "images.jsonl"
        self._path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._sound = self._path.read_bytes()
        self._values: dict[str, float] = {}
        self._number = 0
        names = [f"{i}.png" for i in range(len(rows))]
        self._values = dict(zip(names, self._scores(), strict=True))

    def damage(self, rng: Random) -> str:
        mutation = damaged_lines(self._sound, rng)
        self._path.write_bytes(mutation.data)
        return mutation.name

    def judge(self) -> Verdict:
        found = self._scores()
        try:
            text = self._path.read_bytes().decode("utf-8-sig")
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError as error:
            raise Silent(f"scored, although it is no JSONL: {error}") from error
        expected = [self._values[row["image_path"]] for row in rows if row["image_path"] in self._values]
        if sorted(found) != sorted(expected):
            raise Silent(f"scores of {len(found)} images, not of the {len(expected)} that it names")
        return Verdict("as stated")

    def _scores(self) -> list[float]:
        self._number += 1
        out = self._folder / f"out-{self._number}"
        run("score", str(self._path), "--scorers", "entropy", "--out", str(out))
        return [row.value for row in read_scores(out) if row.value is not None]


class Prompts(Target):
    """Files of prompts: every line is a prompt, with its own text."""

    name: ClassVar[str] = "prompts"
    share: ClassVar[float] = 0.1

    def __init__(self, folder: Path) -> None:
        texts = ["a red star", "two hearts, winter", 'a "sign"', "ein Fuß", "cat; dog"]
        listed = "".join(json.dumps({"id": f"p{i}", "text": text}) + "\n" for i, text in enumerate(texts))
        quoted = "".join(f'p{i},"{text.replace(chr(34), chr(34) * 2)}"\n' for i, text in enumerate(texts))
        self._sound = {
            "p.txt": "\n".join(texts).encode(),
            "p.jsonl": listed.encode(),
            "p.csv": f"id,text\n{quoted}".encode(),
        }
        self._folder, self._path = folder, folder / "p.txt"

    def damage(self, rng: Random) -> str:
        name = rng.choice(list(self._sound))
        mutation = damaged_lines(self._sound[name], rng)
        self._path = self._folder / name
        self._path.write_bytes(mutation.data)
        return f"{name}: {mutation.name}"

    def judge(self) -> Verdict:
        found = [prompt.text for prompt in read_prompt_file(self._path)]
        text = self._path.read_bytes().decode("utf-8-sig")
        # A quoted cell may hold the end of a line; every word of the file still stands in some prompt.
        stated = _READINGS[self._path.suffix](text)
        lost = [word for word in stated if not any(word in one for one in found)]
        if lost:
            raise Silent(f"{lost[0]!r} stands in no prompt")
        return Verdict("as stated")


def _texts(text: str) -> list[str]:
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    return [str(row.get("text", row.get("prompt"))).strip() for row in rows]


def _cells(text: str) -> list[str]:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    place = rows[0].index("text") if "text" in rows[0] else rows[0].index("prompt")
    return [" , ".join(row[place:]).strip() for row in rows[1:] if row]


_READINGS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    ".txt": lambda text: text.split(),
    ".jsonl": _texts,
    ".csv": _cells,
}
"""What each format's file says, by a reading of its own."""
