"""Laws of joining: sets are the same when their prompts are, and names change no number."""

import dataclasses
from collections.abc import Mapping

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import NotComparableError, UnknownNameError
from benchmark.core.records import Checkpoint, Prompt, ScorerColumn, ScoreRow
from benchmark.leaderboard import ScoreTable, build_leaderboard, join_tables, rows_to_frame
from benchmark.leaderboard.comparability import prompt_difference, prompt_ids_in
from benchmark.leaderboard.join import comparable
from benchmark.stats.jackknife import leave_out_id

IDS = st.text("abcdefgXYZ0123456789-_ äü猫", min_size=1, max_size=5)
TEXTS = ("a cat", "a dog", "two cats", "a red bus", "snow")


def column(name: str, version: str = "1", unit: str = "image") -> ScorerColumn:
    return ScorerColumn(name, version, "preference", unit, True)  # type: ignore[arg-type]


def table_of(
    model: str,
    ids: Mapping[str, str],
    *,
    shift: float = 0.0,
    place: str = "",
    columns: tuple[ScorerColumn, ...] = (column("hps"),),
    k: int = 2,
) -> ScoreTable:
    """A model's numbers, which depend on texts alone; ids are those of the texts."""
    rows = [
        ScoreRow(model, c.name, c.version, ids[text], seed, shift + len(text) + seed / 7)
        for c in columns
        for text in ids
        for seed in range(k)
    ]
    scorers = "|".join(f"{c.name}:{c.version}" for c in columns)
    return ScoreTable(
        rows=rows_to_frame(rows),
        suite=f"{model}@1: {len(ids)} prompts x {k} images",
        signature=f"fbench:1.0|set:{model}@{sorted(ids.values())}:{len(ids)}x{k}|sampler:external-1|{scorers}",
        checkpoints=(Checkpoint(model, "external", "external", revision=f"{model}{shift}"),),
        columns=columns,
        n_prompts=len(ids),
        images_per_prompt=k,
        source=place,
        prompts={id_: Prompt(id_, text).content for text, id_ in ids.items()},
    )


def by_place(table: ScoreTable) -> pd.DataFrame:
    return table.rows.sort_values(["checkpoint", "scorer", "prompt_id", "seed"], ignore_index=True)


@st.composite
def two_namings(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str]]:
    """Ids of the same texts in two sets, in two orders."""
    names = st.lists(IDS, min_size=len(TEXTS), max_size=len(TEXTS), unique_by=str.lower)
    orders = draw(st.permutations(TEXTS)), draw(st.permutations(TEXTS))
    return tuple(dict(zip(order, draw(names), strict=True)) for order in orders)  # type: ignore[return-value]


@given(two_namings())
def test_the_same_prompts_are_one_set_whatever_they_are_called(
    namings: tuple[dict[str, str], dict[str, str]],
) -> None:
    one, other = (
        table_of(model, ids, shift=i) for i, (model, ids) in enumerate(zip("ab", namings, strict=True))
    )
    joined, renamed = join_tables([one, other]), join_tables([other, one])
    assert list(joined.prompts) == list(one.prompts)
    assert by_place(join_tables([one, table_of("b", namings[0], shift=1)])).equals(by_place(joined))
    names = {one_id: namings[1][text] for text, one_id in namings[0].items()}
    back = dataclasses.replace(joined, rows=joined.rows.assign(prompt_id=joined.rows["prompt_id"].map(names)))
    assert by_place(back).equals(by_place(renamed))


@settings(max_examples=20)
@given(two_namings(), IDS, IDS)
def test_names_change_no_number(namings: tuple[dict[str, str], dict[str, str]], a: str, b: str) -> None:
    ids = namings[0]
    plain = build_leaderboard([table_of("a", ids), table_of("b", ids, shift=1)], resamples=99)
    called = build_leaderboard(
        [table_of(a, ids, place="x/r/scores.parquet"), table_of(b, ids, shift=1, place="y/r/scores.parquet")],
        resamples=99,
    )
    assert [row.cells for row in plain.rows] == [row.cells for row in called.rows]
    found = [row.checkpoint.id for row in called.rows]
    assert found == ([a, b] if a != b else [f"x_{a}", f"y_{b}"])


def test_one_set_of_images_is_one_row_wherever_it_was_scored() -> None:
    ids = {text: text for text in TEXTS}
    tables = [table_of("images", ids, place=f"{place}/scores.parquet") for place in "xy"]
    assert [c.id for c in join_tables(tables).checkpoints] == ["images"]


def test_other_prompts_are_refused_by_one_of_them() -> None:
    ids = {text: text for text in TEXTS}
    fewer = {text: ids[text] for text in TEXTS[1:]}
    with pytest.raises(
        NotComparableError, match="1 of the 5 prompts of one, such as a cat, is not in the other"
    ):
        join_tables([table_of("a", ids), table_of("a", fewer, shift=1)])
    with pytest.raises(NotComparableError, match="5x2 in one and .*5x3"):
        join_tables([table_of("a", ids), table_of("b", ids, k=3)])
    # The same name and number: only the contents tell.
    twin = dataclasses.replace(table_of("a", ids), prompts={**table_of("a", ids).prompts, "snow": "other"})
    with pytest.raises(NotComparableError, match="such as snow, and 1 of the 5 of the other, such as snow"):
        join_tables([table_of("a", ids), twin])


def test_tables_of_before_prompts_were_written_are_compared_by_their_signatures() -> None:
    ids = {text: text for text in TEXTS}
    new, old = table_of("a", ids), dataclasses.replace(table_of("a", ids, shift=1), prompts={})
    old = dataclasses.replace(old, checkpoints=(Checkpoint("b", "external", "external"),))
    old = dataclasses.replace(old, rows=old.rows.assign(checkpoint="b"))
    assert [c.id for c in join_tables([new, old]).checkpoints] == ["a", "b"]
    with pytest.raises(NotComparableError, match="set is a@"):
        join_tables([new, dataclasses.replace(old, signature=table_of("b", ids).signature)])


def test_scorers_that_differ_are_refused_left_out_or_not_looked_at() -> None:
    ids = {text: text for text in TEXTS}
    hps, hps2, clip, own = column("hps"), column("hps", "2"), column("clip"), column("own")
    one = table_of("a", ids, columns=(hps, clip, own), place="one")
    other = table_of("b", ids, columns=(hps2, clip), place="two")
    with pytest.raises(NotComparableError, match="hps is 1 in one and 2 in the other.*--scorers"):
        join_tables([one, other])
    joined = join_tables([one, other], ["clip"])
    assert [c.name for c in joined.columns] == ["clip"]
    assert joined.remarks == ()
    alike = join_tables([one, table_of("b", ids, columns=(hps, clip))])
    assert [c.name for c in alike.columns] == ["hps", "clip"]
    assert alike.remarks == ("Left out, as not every evaluation has them: own.",)
    assert alike.remarks[0] in build_leaderboard([one, table_of("b", ids, columns=(hps, clip))]).notes
    # What is asked for is compared; what agrees stays at hand, for numbers that need it.
    kept = join_tables([one, table_of("b", ids, columns=(hps, clip))], ["clip"])
    assert [c.name for c in kept.columns] == ["hps", "clip"]
    with pytest.raises(NotComparableError, match="own is absent in two; allowed: .*: clip, hps"):
        join_tables([one, other], ["own"])
    with pytest.raises(NotComparableError, match="hps is absent in three; .*there are none"):
        join_tables([other, table_of("c", ids, columns=(own,), place="three")])
    with pytest.raises(UnknownNameError, match="'lpips'"):
        join_tables([one, other], ["lpips"])


def test_groups_of_a_jackknife_go_where_prompts_had_other_ids() -> None:
    ids = {text: text for text in TEXTS}
    other = {text: f"other {text}" for text in TEXTS}

    def with_set(table: ScoreTable) -> ScoreTable:
        (checkpoint,) = table.checkpoints
        rows = [ScoreRow(checkpoint.id, "kid", "1", where, None, 1.0) for where in (None, leave_out_id(0))]
        frame = pd.concat([table.rows, rows_to_frame(rows)], ignore_index=True)
        return dataclasses.replace(
            table,
            rows=frame,
            columns=(*table.columns, column("kid", unit="set")),
            signature=f"{table.signature}|kid:1",
        )

    first, same = with_set(table_of("a", ids)), with_set(table_of("b", ids, shift=1))
    assert join_tables([first, same]).remarks == ()
    apart = join_tables([first, with_set(table_of("b", other, shift=1))])
    assert "No intervals for set metrics" in apart.remarks[0]
    kid = apart.rows[apart.rows["scorer"] == "kid"]
    assert len(kid[kid["checkpoint"] == "b"]) == 1
    assert set(apart.rows["prompt_id"].dropna()) == {*ids.values(), leave_out_id(0)}


def test_prompts_of_one_text_are_paired_by_ids_then_by_order() -> None:
    assert prompt_ids_in({"a": "x", "b": "x", "c": "y"}, {"b": "x", "d": "x", "e": "y"}) == {
        "b": "b",
        "d": "a",
        "e": "c",
    }
    assert prompt_ids_in({"a": "x", "b": "x"}, {"a": "x"}) is None
    assert prompt_difference({"a": "x", "b": "x"}, {"a": "x"}).startswith(
        "1 of the 2 prompts of one, such as a, is"
    )


def test_one_table_is_itself() -> None:
    table = table_of("a", {"a cat": "p"})
    (found,) = comparable([table], ["whatever"])
    assert found is table


def test_a_cell_that_nobody_was_asked_for_is_not_missing_and_one_that_another_has_is() -> None:
    ids = {text: text for text in TEXTS}
    one, other = table_of("a", ids), table_of("b", ids, shift=1)
    last = (one.rows["prompt_id"] == "snow") & (one.rows["seed"] == 1)
    ragged, complete = (dataclasses.replace(t, rows=t.rows[~last]) for t in (one, other))
    board = build_leaderboard([ragged, complete], resamples=99)
    assert [(row.n_images, row.n_missing, row.ranked) for row in board.rows] == [(9, 0, True)] * 2
    board = build_leaderboard([ragged, other], resamples=99)
    assert [(row.n_images, row.n_missing, row.ranked) for row in board.rows] == [(9, 1, False), (10, 0, True)]
