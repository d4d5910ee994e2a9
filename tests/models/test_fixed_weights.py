"""A copy for sampling shares what it can, and is made only of a network that nobody changes."""

from typing import cast

import pytest
import torch
from torch import nn

from benchmark.models import fixed_weights
from benchmark.models.fixed_weights import compiled_for_passes, is_fixed, sharing_copy

CPU = torch.device("cpu")


@pytest.fixture
def network() -> nn.Sequential:
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 1), nn.Embedding(3, 4)]
    found = nn.Sequential(*layers)
    return found.eval().requires_grad_(False)


def shared(one: nn.Module, other: nn.Module) -> list[str]:
    """Names of the weights and buffers that are the same memory."""
    own = dict(other.state_dict())
    return [name for name, tensor in one.state_dict().items() if tensor.data_ptr() == own[name].data_ptr()]


def test_only_what_autocast_rounds_is_there_twice(network: nn.Sequential) -> None:
    made = sharing_copy(network, CPU, torch.bfloat16)
    rounded = ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert shared(network, made) == [name for name in network.state_dict() if name not in rounded]
    for name in rounded:
        assert torch.equal(made.state_dict()[name], network.state_dict()[name].bfloat16())
    assert shared(network, sharing_copy(network, CPU, None)) == list(network.state_dict())
    assert made[0] is not network[0]


@pytest.mark.parametrize(("free", "rounds"), [(174, True), (173, False), (None, True)])
def test_weights_are_rounded_where_three_times_their_size_is_free(
    network: nn.Sequential, monkeypatch: pytest.MonkeyPatch, free: int | None, rounds: bool
) -> None:
    # 9 * 2 + 2 and 8 + 1 numbers of 2 bytes, three times.
    monkeypatch.setattr(fixed_weights, "free_memory", lambda device: free)
    made = sharing_copy(network, CPU, torch.bfloat16)
    assert made.state_dict()["3.weight"].dtype == (torch.bfloat16 if rounds else torch.float32)


def test_a_network_that_is_trained_or_compiled_is_not_fixed(network: nn.Sequential) -> None:
    assert is_fixed(network)
    assert not is_fixed(cast(nn.Module, torch.compile(network)))
    assert not is_fixed(network.requires_grad_(True))
    compiled = nn.Linear(1, 1).requires_grad_(False)
    compiled.compile()
    assert not is_fixed(compiled)


def test_graphs_of_a_compiled_training_leave_room_for_those_of_sampling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch._dynamo import config

    monkeypatch.setattr(fixed_weights, "require_compiler", lambda device: None)
    with config.patch(recompile_limit=8):
        compiled_for_passes(nn.Linear(1, 1), CPU)
        assert config.recompile_limit == fixed_weights._GRAPHS > 8
    with config.patch(recompile_limit=1000):
        compiled_for_passes(nn.Linear(1, 1), CPU)
        assert config.recompile_limit == 1000
