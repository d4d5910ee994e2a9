"""Generate, score, rank, all under one manifest; importing this room needs no torch.

    result = evaluate(EvalConfig(checkpoint=("base", "runs/dpo"), prompts="shapes-core", out="runs/eval"))

The same call again resumes; with everything there it only rebuilds the leaderboard.
"""
