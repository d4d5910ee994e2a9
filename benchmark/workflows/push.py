"""``fbench push``: a trained checkpoint on the Hub, with a card made from its manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.environment import network_forbidden
from benchmark.core.errors import UnreadableFileError, UserError, pasted
from benchmark.core.manifest import read_manifest_of
from benchmark.core.records import Checkpoint, Leaderboard
from benchmark.core.store import read_json
from benchmark.leaderboard import build_leaderboard, read_score_table
from benchmark.workflows.model_card import Trained, model_card
from trainers.checkpoints import RECORD, damaged, read_checkpoints

CARD = "README.md"


@dataclass(frozen=True)
class Parcel:
    """What would be uploaded.

    Attributes:
        repo: Where to: ``owner/name``; of ``name`` alone the owner is whoever is logged in.
        checkpoint: Id of the checkpoint.
        card: The model card.
        files: By their names in the repository.
    """

    repo: str
    checkpoint: str
    card: str
    files: dict[str, Path]


@dataclass(frozen=True)
class Pushed:
    """What was uploaded.

    Attributes:
        repo: Where it is: ``owner/name``.
        url: Of the commit.
        checkpoint: Id of the checkpoint.
        files: Their names in the repository.
    """

    repo: str
    url: str
    checkpoint: str
    files: tuple[str, ...]


def pack(run: Path, repo: str = "", *, step: int | None = None, scores: Path | None = None) -> Parcel:
    """Puts together what `push` uploads; nothing is written, and nobody is asked.

    Args:
        run: A folder of ``fbench train``.
        repo: ``owner/name`` or ``name``; empty: as the folder is called.
        step: Which checkpoint; None for the last.
        scores: An evaluation that has the checkpoint, for the card.

    Raises:
        UserError: if the run is not finished, its files are damaged, it lacks the step, or the evaluation
            lacks the checkpoint.
    """
    manifest = read_manifest_of(run, "train")
    if manifest.status != "success":
        raise UserError(
            f"{run} is not finished: {manifest.status} {manifest.error}".rstrip(),
            do="the command that began it goes on",
        )
    checkpoint = _chosen(run, step)
    assert checkpoint.path is not None
    place = checkpoint.path.relative_to(run).as_posix()
    known = {item.path: item.sha256 for item in manifest.outputs if item.path.startswith(place)}
    if wrong := damaged(run, known):
        raise UnreadableFileError(
            run / wrong[0], "the checkpoint that was written", "its bytes are others now"
        )
    files = {
        path.relative_to(checkpoint.path).as_posix(): path
        for path in sorted(checkpoint.path.rglob("*"))
        if path.is_file()
    }
    repo = repo or run.resolve().name
    layout = str(read_json(checkpoint.path / RECORD, "a checkpoint's record").get("format", ""))
    trained = Trained(manifest, checkpoint, layout, repo, _board(scores, checkpoint))
    return Parcel(repo, checkpoint.id, str(model_card(trained)), files)


def push(run: Path, repo: str = "", *, step: int | None = None, scores: Path | None = None,
         private: bool = False) -> Pushed:  # fmt: skip
    """Uploads a checkpoint in one commit; the repository is made if it is not there.

    Args:
        run: As of `pack`, and so the rest.
        repo: Likewise.
        step: Likewise.
        scores: Likewise.
        private: Whether a repository that is made is private.

    Raises:
        UserError: as of `pack`; if nobody is logged in, the Hub refuses, or cannot be reached.
    """
    pack(run, repo, step=step, scores=scores)  # what is wrong here is told before anybody is asked
    if network_forbidden():
        raise UserError("--offline forbids to push", do="leave it out")
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi(library_name="fbench")
    name = repo or run.resolve().name
    if "/" not in name:
        with _explained(name):
            name = f"{hub.whoami()['name']}/{name}"
    parcel = pack(run, name, step=step, scores=scores)
    operations = [
        CommitOperationAdd(CARD, parcel.card.encode()),
        *(CommitOperationAdd(where, path) for where, path in parcel.files.items()),
    ]
    with _explained(name):
        hub.create_repo(name, private=private or None, exist_ok=True)
        done = hub.create_commit(name, operations, commit_message=f"fbench: {parcel.checkpoint}")
    return Pushed(name, str(done.commit_url), parcel.checkpoint, (CARD, *parcel.files))


def _chosen(run: Path, step: int | None) -> Checkpoint:
    found = {checkpoint.step: checkpoint for checkpoint in read_checkpoints(run)}
    if not found:
        raise UserError(f"{run} has no checkpoint", do="train it again")
    if step is not None and step not in found:
        raise UserError(f"{run} has no checkpoint of step {step}", allowed=", ".join(map(str, found)))
    return found[max(found) if step is None else step]


def _board(scores: Path | None, checkpoint: Checkpoint) -> Leaderboard | None:
    if scores is None:
        return None
    table = read_score_table(scores)
    ids = [one.id for one in table.checkpoints]
    if checkpoint.id not in ids:
        again = pasted(
            "fbench", "eval", "--checkpoint", "base", "--checkpoint", checkpoint.path, "--out", scores
        )
        raise UserError(
            f"{scores} has no scores of {checkpoint.id}", allowed=", ".join(ids), do=f"{again} makes them"
        )
    return build_leaderboard([table])


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turns what the Hub or the network says into one line.

    Raises:
        UserError: for it.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    login = "log in by `hf auth login` with a token that may write, or set HF_TOKEN"
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise UserError("nobody is logged in to the Hub", do=login) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        why = str(error).strip().splitlines()[-1]
        do = login if status in (401, 403) else ""
        raise UserError(f"the Hub refuses to take {repo} ({status}: {why})", do=do) from error
    # No network, a name that is none, a connection that breaks: in the words of whichever library said it.
    except Exception as error:
        raise UserError(
            f"cannot push {repo} ({type(error).__name__}: {error})", do="the same command tries again"
        ) from error
