"""The leaderboard as JSON: all of it, under a schema version."""

import json

from benchmark.core import hashing
from benchmark.core.records import Leaderboard

SCHEMA_VERSION = 1


def json_text(leaderboard: Leaderboard) -> str:
    """Every field of every record; where the weights lie on this machine is left out.

    Args:
        leaderboard: What to write.

    Returns:
        The text of ``leaderboard.json``: ``schema_version``, then the fields of a Leaderboard.
    """
    plain = hashing.plain(leaderboard)
    for row in plain["rows"]:
        del row["checkpoint"]["path"]
    return json.dumps({"schema_version": SCHEMA_VERSION, **plain}, indent=2, ensure_ascii=False) + "\n"
