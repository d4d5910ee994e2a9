"""Asks an original package, in its own environment: `python -P runner.py ORACLE.py REQUEST.json REPLY.json`.

Imports nothing of ours. An oracle is a file with `PACKAGES`, their distributions' names, and
`load(**given) -> Callable`, whose calls are the questions.

Request: {given: arguments of load, calls: lists of arguments, passes: how often}.
Reply: {values, errors: by the number of the call, versions, load: seconds and processor seconds, seconds and
processor: of each call by pass, peak: bytes}.
"""

import json
import resource
import runpy
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def ask(oracle: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Every call's value; a call that fails has the failure instead."""
    start, begun = time.perf_counter(), time.process_time()
    call = oracle["load"](**request["given"])
    loaded = [time.perf_counter() - start, time.process_time() - begun]
    values: list[Any] = []
    errors: dict[int, str] = {}
    seconds: list[list[float]] = []
    processor: list[list[float]] = []
    for _ in range(request["passes"]):
        values, took, busy = [], [], []
        for i, arguments in enumerate(request["calls"]):
            start, begun = time.perf_counter(), time.process_time()
            try:
                values.append(call(*arguments))
            except Exception as error:  # noqa: BLE001  # what the original does is what is asked
                values.append(None)
                errors[i] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            took.append(time.perf_counter() - start)
            busy.append(time.process_time() - begun)
        seconds.append(took)
        processor.append(busy)
    return {
        "values": values,
        "errors": errors,
        "versions": {name: version(name) for name in oracle["PACKAGES"]},
        "load": loaded,
        "seconds": seconds,
        "processor": processor,
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


if __name__ == "__main__":
    oracle_file, request_file, reply_file = sys.argv[1:]
    given = json.loads(Path(request_file).read_text(encoding="utf-8"))
    reply = ask(runpy.run_path(oracle_file), given)
    Path(reply_file).write_text(json.dumps(reply), encoding="utf-8")
