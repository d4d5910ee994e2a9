"""Images as files: whole, resumable, never those of other settings; a failure is a row."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.core.errors import DiskFullError, UserError
from benchmark.core.records import Checkpoint, ImageSet, Prompt, PromptSet, Sampler
from benchmark.generate import Shard, console_progress, generate, image_seed
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

SAMPLER = Sampler(steps=2, guidance=2.0, batch_size=4)
TEXTS = ("a star", "two hearts", "a moon, winter")
PROMPT_SET = PromptSet("tiny", "1", tuple(Prompt(f"p{i}", text) for i, text in enumerate(TEXTS)))
CHECKPOINT = Checkpoint("base", "tiny-sd", revision="1")


def make(
    pipeline: Pipeline, folder: Path, sampler: Sampler = SAMPLER, k: int = 2, **more: object
) -> ImageSet:
    return generate(CHECKPOINT, pipeline, PROMPT_SET, sampler, k, folder, **more)  # type: ignore[arg-type]


def hashes(images: ImageSet) -> dict[str, str]:
    return {record.path.name: record.sha256 for record in images}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def whole(tiny_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """All images of the set, made in one go."""
    return make(tiny_pipeline, tmp_path_factory.mktemp("whole"))


def test_every_image_has_its_record_and_its_place(whole: ImageSet) -> None:
    assert [(r.prompt_id, r.seed) for r in whole] == [(f"p{i}", k) for i in range(3) for k in range(2)]
    assert whole.ok == whole.records
    assert [r.path.name for r in whole][:2] == ["p0_0.png", "p0_1.png"]
    assert whole.records[0].path.parent.name == CHECKPOINT.id
    assert whole.open(whole.records[0]).shape == (64, 64, 3)
    assert len(set(hashes(whole).values())) == 6


def test_shards_together_are_the_whole(whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    parts = [make(tiny_pipeline, tmp_path, shard=Shard(i, 2)) for i in (2, 1)]
    assert hashes(parts[0]) | hashes(parts[1]) == hashes(whole)
    assert {record.prompt_id for record in parts[0]} == {"p1"}
    # Put together without making anything again.
    before = times(tmp_path)
    assert hashes(make(tiny_pipeline, tmp_path)) == hashes(whole)
    assert times(tmp_path) == before


def test_an_interrupted_run_goes_on_where_it_was(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tiny_pipeline, tmp_path, progress=interrupt)
    before = times(tmp_path)
    assert len(before) == SAMPLER.batch_size
    told: list[tuple[int, int]] = []
    resumed = make(tiny_pipeline, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert hashes(resumed) == hashes(whole)
    assert told == [(4, 6), (6, 6)]
    assert before.items() <= times(tmp_path).items()


def test_a_lost_damaged_or_replaced_image_is_made_again(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    images = make(tiny_pipeline, tmp_path)
    paths = [record.path for record in images]
    paths[0].unlink()
    paths[1].write_bytes(b"half an ima")
    paths[2].replace(paths[3])
    told: list[int] = []
    assert hashes(make(tiny_pipeline, tmp_path, progress=lambda done, _: told.append(done))) == hashes(whole)
    assert told == [2, 6]


@pytest.mark.parametrize(
    "change",
    [{"guidance": 4.0}, {"steps": 3}, {"seed": 1}, {"batch_size": 3}, {"precision": "bf16"}],
    ids=str,
)
def test_other_settings_never_reuse_an_image(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path, change: dict[str, object]
) -> None:
    make(tiny_pipeline, tmp_path, k=1)
    told: list[int] = []
    sampler = replace(SAMPLER, **change)  # type: ignore[arg-type]
    other = make(tiny_pipeline, tmp_path, sampler, k=1, progress=lambda done, _: told.append(done))
    assert told[0] == 0
    assert other.id != whole.id


def test_more_images_a_prompt_reuse_the_first_ones(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    make(tiny_pipeline, tmp_path, k=1)
    told: list[int] = []
    assert hashes(make(tiny_pipeline, tmp_path, progress=lambda done, _: told.append(done))) == hashes(whole)
    assert told[0] == 3


def test_an_unreadable_index_only_costs_time(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    place = make(tiny_pipeline, tmp_path).records[0].path.parent
    (place / "index.json").write_text("{half")
    assert hashes(make(tiny_pipeline, tmp_path)) == hashes(whole)


def unreadable(text: str) -> Prompt:
    """A prompt whose text no tokenizer reads, past the record's own check of it."""
    prompt = Prompt("unreadable", "any")
    object.__setattr__(prompt, "text", text)
    return prompt


def test_a_failed_image_is_a_row_and_takes_nobody_along(
    whole: ImageSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    # Weights that are broken for one letter: every prompt with it comes out as NaN.
    encoder = copy.deepcopy(tiny_pipeline.text_encoder)
    (letter,) = tiny_pipeline.tokenizer("@", add_special_tokens=False).input_ids
    with torch.no_grad():
        encoder.get_input_embeddings().weight[letter] = torch.nan
    # And a text that the tokenizer cannot read at all.
    bad = (Prompt("nan", "a star @"), unreadable("a star \ud800"))
    prompts = PromptSet("tiny", "1", PROMPT_SET.prompts[:2] + bad + PROMPT_SET.prompts[2:])
    images = generate(CHECKPOINT, replace(tiny_pipeline, text_encoder=encoder), prompts, SAMPLER, 2, tmp_path)
    failed = {r.prompt_id: r for r in images if r.status != "ok"}
    assert set(failed) == {"nan", "unreadable"}
    assert "not finite" in failed["nan"].note
    assert "Error: " in failed["unreadable"].note
    assert not failed["nan"].path.exists()
    assert hashes(whole).items() <= hashes(images).items()


def test_a_run_in_which_nothing_works_says_so_at_once(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    prompts = PromptSet("bad", "1", (unreadable("\ud800"),))
    with pytest.raises(Exception, match=r"(?i)encod|str|surrogate"):
        generate(CHECKPOINT, tiny_pipeline, prompts, SAMPLER, 2, tmp_path)


def test_too_little_room_is_noticed_first(
    tiny_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DiskFullError, match="6 images"):
        make(tiny_pipeline, tmp_path)
    assert not list(tmp_path.rglob("*.png"))


def test_wrong_numbers_are_refused(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--images-per-prompt is 0"):
        make(tiny_pipeline, tmp_path, k=0)
    for text in ("3/2", "0/2", "half"):
        with pytest.raises(UserError, match="i/n"):
            Shard.parse(text)


def test_seeds_depend_on_evaluation_seed_prompt_and_k_only() -> None:
    one = image_seed(SAMPLER, "a star", 0)
    assert 0 <= one < 2**64
    assert one == image_seed(replace(SAMPLER, steps=9, guidance=1.0), "a star", 0)
    others = [(SAMPLER, "a star", 1), (SAMPLER, "a sun", 0), (replace(SAMPLER, seed=1), "a star", 0)]
    assert one not in [image_seed(*other) for other in others]
    shared = replace(SAMPLER, noise="shared")
    assert image_seed(shared, "a star", 2) == image_seed(shared, "a sun", 2) == 2


def test_a_log_gets_plain_lines(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.generate.progress._SECONDS_BETWEEN_LINES", float("inf"))
    with console_progress("generating base") as tell:
        for done in range(5):
            tell(done, 4)
    lines = capfd.readouterr().err.splitlines()
    assert [line.rpartition(" in ")[0] for line in lines] == [
        "generating base: 0 of 4",
        "generating base: 4 of 4",
    ]
