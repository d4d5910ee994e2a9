"""The Accelerate configurations are read by Accelerate itself, and every key in them is one that it knows."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env

from benchmark.models.families.unet.pipeline import BLOCKS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "accelerate"
EXPECTED = {
    "one-gpu.yaml": (DistributedType.NO, 1),
    "eight-gpus.yaml": (DistributedType.MULTI_GPU, 8),
    "fsdp.yaml": (DistributedType.FSDP, 8),
}


def test_every_file_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_accelerate_reads_it(name: str) -> None:
    config = load_config_from_file(str(FOLDER / name))  # it refuses unknown keys
    assert isinstance(config, ClusterConfig)
    assert (config.distributed_type, config.num_processes) == EXPECTED[name]
    assert (config.mixed_precision, config.use_cpu, config.num_machines) == ("no", False, 1)
    assert bool(config.fsdp_config) == (name == "fsdp.yaml")
    assert f"docs/accelerate/{name} -m fbench train" in (FOLDER / name).read_text()


def test_every_setting_of_fsdp_reaches_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config_from_file(str(FOLDER / "fsdp.yaml"))
    parser = launch_command_parser()
    assert set(config.fsdp_config) <= {action.dest for action in parser._actions}
    args = parser.parse_args(
        [
            "--use_fsdp",
            "--num_processes",
            "8",
            "--num_machines",
            "1",
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
            "script.py",
        ]
    )
    for key, value in config.fsdp_config.items():
        setattr(args, key, value)
    for key, value in prepare_multi_gpu_env(args).items():
        monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.transformer_cls_names_to_wrap == ["BasicTransformerBlock", "ResnetBlock2D"]
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert plugin.activation_checkpointing is False


def test_the_blocks_that_fsdp_wraps_are_diffusers_own() -> None:
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.resnet import ResnetBlock2D

    wrapped = load_config_from_file(str(FOLDER / "fsdp.yaml")).fsdp_config[
        "fsdp_transformer_layer_cls_to_wrap"
    ]
    assert wrapped.split(",") == [BasicTransformerBlock.__name__, ResnetBlock2D.__name__]
    assert tuple(wrapped.split(",")) == BLOCKS
