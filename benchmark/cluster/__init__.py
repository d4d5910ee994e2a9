"""Work on a Ray cluster: evaluations and sweeps on many machines, any of which may die.

Imported when ``--ray`` is given and not before. Nothing below this room knows of Ray: an evaluation is told
where its work is done (:data:`benchmark.evaluate.run.Workplace`), a sweep who runs its jobs.
"""
