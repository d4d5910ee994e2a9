"""Which unit a worker does next."""

from benchmark.cluster.queue import Queue, Unit


def test_a_worker_stays_with_its_group_and_then_goes_where_the_fewest_are() -> None:
    queue = Queue(Unit(f"{group}{i}", None, group) for i in range(2) for group in "abc")
    assert len(queue) == 6
    assert queue.take("", {}).words == "a0"
    assert queue.take("b", {"a": 1}).words == "b0"
    # Nobody is at the third yet, and the fourth group is unknown.
    assert queue.take("d", {"a": 1, "b": 1}).words == "c0"
    # One that is done again comes behind the others of its group.
    queue.extend([Unit("a0", None, "a")])
    assert [queue.take("a", {}).words for _ in range(3)] == ["a1", "a0", "b1"]
    assert (len(queue), queue.take("", {}).words, len(queue)) == (1, "c1", 0)
