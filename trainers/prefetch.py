"""Batches a step ahead: on a GPU the next one is drawn and sent while the networks are busy."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from trainers.batch_plan import BatchPlan
from trainers.draws import Batch, draw_batch
from trainers.material import Material


class Batches(Protocol):
    """Gives the batches of a run."""

    def __call__(self, plan: BatchPlan, step: int) -> Batch:
        """The batch of a step, counted from 0."""


@contextmanager
def batches(material: Material, *, ahead: bool | None = None) -> Iterator[Batches]:
    """Batches of this process.

    Args:
        material: The model and the data.
        ahead: Whether the next one is drawn in another thread; None where there is a GPU to be kept busy:
            on a CPU the two would only compete.
    """
    state = material.state

    def draw(plan: BatchPlan, step: int) -> Batch:
        return draw_batch(
            material.pipeline, material.train, plan, step, state.process_index, state.num_processes
        )

    if not (material.pipeline.device.type == "cuda" if ahead is None else ahead):
        yield draw
        return
    pool = ThreadPoolExecutor(1, "batches")
    coming: dict[tuple[BatchPlan, int], Future[Batch]] = {}

    def drawn(plan: BatchPlan, step: int) -> Batch:
        earlier = coming.pop((plan, step), None)
        batch = draw(plan, step) if earlier is None else earlier.result()
        coming[plan, step + 1] = pool.submit(draw, plan, step + 1)
        return batch

    try:
        yield drawn
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
