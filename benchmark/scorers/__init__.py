"""Scorers: one number, one direction each. Diversity and fidelity metrics are scorers too.

To add one, write one file here (or anywhere: ``--scorers mine.py:Mine``) with a class that is an
``ImageScorer``, a ``PromptScorer`` or a ``SetScorer`` of ``benchmark.scorers.base`` and register it.
"""

from benchmark.scorers.base import Scorer, scorers
from benchmark.scorers.engine.choose import make_scorers, split_scorers

__all__ = ["Scorer", "make_scorers", "scorers", "split_scorers"]
