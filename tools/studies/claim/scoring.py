"""The images of a member, scored, as the small table that is kept of it."""

from dataclasses import replace

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.costs import Tally, costs_of
from benchmark.evaluate.results import columns_of, score_table
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress, generate, with_distances
from benchmark.leaderboard import ScoreTable, rows_to_frame
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import make_scorers
from benchmark.scorers.path_kl import PathKl
from tools.studies.claim.design import HALFWAY, Design, Member
from tools.studies.claim.members import compact


class Judge:
    """The base model and the scorers of a design, loaded once for many members.

    Args:
        design: What is asked.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        config = design.eval_config(design.members[0])
        self._base = load_pipeline(config.base, choose_device(config.device), precision=config.precision)
        self._sampler = config.sampling(self._base.sampler)
        self._prompts = load_prompt_set(config.prompts, config.limit)
        self._scorers = make_scorers(config.scorer_texts, config.weights, config.scorer_precision)
        self._loaded = Loaded(choose_device(config.device))
        self._loaded.load(self._scorers)

    @property
    def base(self) -> str:
        """Revision of the base model's weights."""
        return self._base.revision or ""

    def table(self, member: Member) -> ScoreTable:
        """Makes and scores the images of a member; what is there already is not made again.

        Raises:
            MissingRowsError: if an image or a score failed: such a member is not finished.
            UserError: for a checkpoint that cannot be opened.
        """
        config, sample = self._design.eval_config(member), self._design.sample
        run = self._design.out / "train" / member.name
        looks = [(str(run) if member.objective else "base", config.images_per_prompt)]
        # A run that could not go on has no later checkpoint than this.
        if member.halfway and sample.halfway and (run / "checkpoints" / f"step-{HALFWAY:06d}").is_dir():
            looks += [(f"{run}@{HALFWAY}", sample.halfway)]
        sets, rows = list[ImageSet](), list[ScoreRow]()
        for spec, images_per_prompt in looks:
            images, found = self._look(spec, images_per_prompt, config)
            if images.checkpoint.id in {known.checkpoint.id for known in sets}:
                continue
            sets.append(images)
            rows += found
        failed = sum(row.failed for row in rows)
        if failed:
            raise MissingRowsError(failed, len(rows), config.out)
        columns = columns_of(self._scorers, [images.checkpoint for images in sets], config.primary_names)
        columns += (PathKl().column(()),) if any(sample.paths) else ()
        return compact(score_table(rows_to_frame(rows), sets, columns, costs_of(sets, config.out)))

    def _look(self, spec: str, images_per_prompt: int, config: EvalConfig) -> tuple[ImageSet, list[ScoreRow]]:
        checkpoint, policy = open_checkpoint(spec, self._base)
        out, ks = config.out, tuple(range(images_per_prompt))
        content = ImageSet.content_id(checkpoint, self._prompts, self._sampler, ks)
        with (
            console_progress(f"looking at {checkpoint.id}") as tell,
            Tally(out).counting(content, tell) as told,
        ):
            images = generate(
                checkpoint, policy, self._prompts, self._sampler, images_per_prompt, out, progress=told
            )
            rows = score_all(images, self._scorers, self._loaded, ScoreCache(out), told)
            near = with_distances(self._narrowed(images), policy, self._base, out)
        return images, [*rows, *_distances(near)]

    def _narrowed(self, images: ImageSet) -> ImageSet:
        """The cells whose paths are walked."""
        prompts, paths = self._design.sample.paths
        asked = {prompt.id for prompt in tuple(self._prompts)[:prompts]}
        return replace(images, records=tuple(r for r in images if r.prompt_id in asked and r.seed < paths))


def _distances(images: ImageSet) -> list[ScoreRow]:
    return [
        ScoreRow.measured(
            images.checkpoint.id, PathKl.name, PathKl.version, float(record.path_kl), record.prompt_id,
            record.seed,
        )
        for record in images
        if record.path_kl is not None
    ]  # fmt: skip
