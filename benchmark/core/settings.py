"""What a setting says of itself, on its field; without pydantic, so that ``fbench --help`` is quick."""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

Recognised = Literal["value", "content", "never", "formerly"]
Flag = Literal["option", "commas", "switch", "argument", "none"]


@dataclass(frozen=True)
class Setting:
    """What a setting says of itself, in the annotation of its field.

    Options of the command line, the identity of a run and the pages of the documentation are made of it.

    Attributes:
        help: One line; ``{default}`` stands for the field's default.
        group: Heading above it in ``--help``; empty for the common one.
        identity: By what two runs are told apart: its ``value``, or the ``content`` of what it names;
            ``never`` for a place and for what moves no result; ``formerly`` where it was the value until
            inputs were hashed.
        metavar: Name of its value in ``--help``; None: its choices where it has some, else its type.
        flag: How a command takes it: an ``option``, given once for each value where there may be several;
            an option of which ``commas`` part the values; a ``switch`` that can only be put on; an
            ``argument``; or ``none``: by ``--set`` and ``--config`` alone.
    """

    help: str
    group: str
    identity: Recognised
    metavar: str | None = field(default=None, kw_only=True)
    flag: Flag = field(default="option", kw_only=True)


SettingType = TypeVar("SettingType", bound=Setting)

DEVICE: Final = Setting("Where to compute: auto, cpu, cuda, cuda:1 or mps. (default auto)", "", "never")
PRECISION: Final = Setting(
    "Of the networks: auto (bf16 where the hardware has it), fp32, bf16 or fp16. (default auto)", "", "value"
)
OFFLINE: Final = Setting("Forbid every network access.", "", "never", flag="switch")
