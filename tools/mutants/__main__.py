"""``python -m tools.mutants [LIST...]``: how many mutants the tests catch, and what survives."""

import argparse

from benchmark.core.console import finish
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.workflows.workers import run_workers
from tools.mutants.running import Job, Share, lists, work


def main() -> None:
    """Runs the lists named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("lists", nargs="*", metavar="LIST", help="Modules of lists/. (default all)")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    known = lists()
    for name in given.lists:
        if name not in known:
            raise UnknownNameError("list of mutants", name, known)
    jobs = [job for name in given.lists or known for job in known[name]]
    numbered = list(enumerate(jobs))
    count = max(1, min(given.processes, len(jobs)))
    answers = run_workers(work, [Share(tuple(numbered[i::count])) for i in range(count)])
    caught = {number: test for answer in answers for number, test in answer.items()}
    _report([(job, caught[number]) for number, job in numbered])


def _report(done: list[tuple[Job, str]]) -> None:
    survivors = [job.mutant for job, test in done if not test]
    print(f"\n{len(done) - len(survivors)} of {len(done)} mutants caught")
    for mutant in survivors:
        print(f"survived: {mutant}\n    {mutant.equivalent or 'NOT EQUIVALENT: a test is missing'}")
    missing = sum(not mutant.equivalent for mutant in survivors)
    if missing:
        raise UserError(f"{missing} mutants survive that no note calls equivalent", do="write a test")


if __name__ == "__main__":
    finish(main)
