"""``fbench eval``."""

import typer

from benchmark.cli import cluster as ray_options
from benchmark.cli import options
from benchmark.cli.output import say_evaluation, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    "eval", cls=options.command_of("benchmark.evaluate.config:EvalConfig", ray_options.ClusterCommand)
)
def evaluate(
    context: typer.Context,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    ray: ray_options.Ray = None,
    workers: ray_options.Workers = None,
    cpus_per_worker: ray_options.Cpus = 1,
    gpus_per_worker: ray_options.Gpus = None,
    retries: ray_options.Retries = 3,
    patience: ray_options.Patience = 3600.0,
    scratch: ray_options.Scratch = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Generates images of checkpoints, scores them and ranks them.

    Every image has its own seed, equal across checkpoints, so all comparisons are paired. The same
    command again resumes; changed settings never reuse old images or scores.

    Examples:
      fbench eval --checkpoint base --checkpoint runs/js --out runs/eval
      fbench eval --checkpoint base --checkpoint runs/js@100 --limit 32 --scorers true_taste,oracle
      fbench eval --base sd15 --checkpoint my_lora.safetensors --prompts my.txt --scorers hps,pickscore
      fbench eval --checkpoint base --checkpoint runs/js --distance
      fbench eval --checkpoint base --shard 1/4 --out runs/eval
      fbench eval --checkpoint base --checkpoint runs/js --ray --gpus-per-worker 1
    """
    from benchmark.evaluate.config import EvalConfig
    from benchmark.evaluate.plan import plan

    options.use_weights_folder(weights_folder)
    cluster = ray_options.cluster_of(
        context,
        address=ray,
        workers=workers,
        cpus=cpus_per_worker,
        gpus=gpus_per_worker,
        retries=retries,
        patience=patience,
        scratch=scratch,
    )
    given = options.settings_of(context, out="runs/eval")
    settings = EvalConfig.resolve(config, {k: v for k, v in given.items() if k not in ray_options.OPTIONS})
    options.forbid_network(offline=settings.offline)
    if cluster is not None:
        from benchmark.cluster.evaluation import on_cluster, refuse_shard

        refuse_shard(settings)
    if dry_run:
        say_plan(plan(settings, elsewhere=cluster is not None).lines(), as_json=as_json)
        return
    from benchmark.evaluate.run import evaluate as run

    if cluster is not None:
        say_evaluation(run(settings, workplace=on_cluster(cluster)), as_json=as_json)
        return
    options.use_free_threads()
    say_evaluation(run(settings), as_json=as_json)
