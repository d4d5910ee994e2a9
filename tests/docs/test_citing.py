"""CITATION.cff and the BibTeX of docs/citing.md name the same papers and this version."""

import re
from pathlib import Path

import yaml

import fbench

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ENTRIES = re.findall(
    r"^@article\{.*?^\}", (ROOT / "docs" / "citing.md").read_text(), re.MULTILINE | re.DOTALL
)


def test_it_is_this_version_under_this_licence() -> None:
    assert CITATION["version"] == fbench.__version__
    assert f'license = "{CITATION["license"]}"' in (ROOT / "pyproject.toml").read_text()


def test_both_files_cite_the_same_papers() -> None:
    assert len(ENTRIES) == len(CITATION["references"]) == 2
    for entry, paper in zip(ENTRIES, CITATION["references"], strict=True):
        (title,) = re.findall(r"title +=? *\{(.*)\}", entry)
        (authors,) = re.findall(r"author += *\{(.*)\}", entry)
        names = [f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]]
        assert (title, authors.split(" and ")) == (paper["title"], names)
        assert paper["url"].rpartition("/")[2] in entry
        assert f"{{{paper['year']}}}" in entry
