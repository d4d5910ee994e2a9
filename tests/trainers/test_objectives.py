"""The laws of an objective, over everything registered and every divergence."""

import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.core.errors import UserError
from trainers.divergences import Divergence, ForwardKL, JensenShannon, ReverseKL, divergences
from trainers.log_ratio import log_ratio, prediction_error
from trainers.objectives import (
    FDPO,
    RPO,
    Objective,
    PairErrors,
    contrast_weights,
    gradient_field,
    objectives,
    slope_matched_beta,
    text_image_embedding,
)

RPO_OPTIONS = [
    {"weight": weight, "normalisation": normalisation}
    for weight, normalisation in itertools.product(("inside", "outside"), ("row*N", "row"))
]
DIVERGENCES = [divergences.create(name) for name in divergences.names()]
every_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
every_rpo = pytest.mark.parametrize("options", RPO_OPTIONS, ids=lambda o: "-".join(o.values()))


def make(name: str, divergence: Divergence, **options: Any) -> Objective:
    """An objective with what it takes of a divergence and beta = 0.7."""
    takes = inspect.signature(objectives.get(name)).parameters
    given = {"divergence": divergence, "beta": 0.7}
    return objectives.create(name, **{k: v for k, v in given.items() if k in takes}, **options)


def takes_divergence(name: str) -> bool:
    """Whether the objective of that name is told its divergence."""
    return "divergence" in inspect.signature(objectives.get(name)).parameters


def everything() -> list[Objective]:
    """Each registered objective under each divergence it takes, and each variant of rpo."""
    plain = [
        make(name, divergence)
        for name in objectives.names()
        for divergence in (DIVERGENCES if takes_divergence(name) else DIVERGENCES[:1])
    ]
    return [*plain, *(make("rpo", JensenShannon(), **options) for options in RPO_OPTIONS[1:])]


every_objective = pytest.mark.parametrize("objective", everything(), ids=lambda o: str(objectives.call_of(o)))


def batch(n: int = 6, draws: int | None = None, seed: int = 0, spread: float = 1.0) -> PairErrors:
    """Random pairs whose log-ratios spread by so many nats."""
    torch.manual_seed(seed)
    shape = (n,) if draws is None else (draws, n)
    return PairErrors(
        policy_winner=torch.rand(shape),
        policy_loser=torch.rand(shape),
        log_ratio_winner=spread * torch.randn(shape),
        log_ratio_loser=spread * torch.randn(shape),
        embedding_winner=torch.randn(n, 5),
        embedding_loser=torch.randn(n, 5),
    )


def at_reference(n: int = 6) -> PairErrors:
    """Pairs on which the policy is the reference."""
    zeros = torch.zeros(n)
    return replace(batch(n), log_ratio_winner=zeros, log_ratio_loser=zeros)


def map_tensors(errors: PairErrors, change: Callable[[str, Tensor], Tensor]) -> PairErrors:
    """The record with every tensor changed, by its name."""
    changed: dict[str, Any] = {k: change(k, v) for k, v in vars(errors).items() if isinstance(v, Tensor)}
    return replace(errors, **changed)


def gradients(objective: Objective, errors: PairErrors) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients over s_w and s_l."""
    s_w, s_l = (s.clone().requires_grad_() for s in errors.log_ratios())
    loss = objective(replace(errors, log_ratio_winner=s_w, log_ratio_loser=s_l)).loss
    to_winner, to_loser = torch.autograd.grad(loss, [s_w, s_l])
    return loss.detach(), to_winner, to_loser


# --- every objective ----------------------------------------------------------------------------


@every_objective
def test_value_at_the_reference(objective: Objective) -> None:
    output = objective(at_reference())
    if objective.value_at_reference is not None:
        assert float(output.loss) == pytest.approx(objective.value_at_reference, rel=1e-6)
    if objective.paired and objective.uses_reference:
        assert float(output.logs["accuracy"]) == 0.5
        assert float(output.logs["margin"]) == 0


@every_objective
def test_swapping_winner_and_loser_flips_the_margin(objective: Objective) -> None:
    if not objective.paired:
        return
    errors = batch()
    swapped = replace(
        errors, log_ratio_winner=errors.log_ratio_loser, log_ratio_loser=errors.log_ratio_winner
    )
    logs, logs_swapped = objective(errors).logs, objective(swapped).logs
    assert float(logs["margin"]) == pytest.approx(-float(logs_swapped["margin"]))
    assert float(logs["accuracy"]) == pytest.approx(1 - float(logs_swapped["accuracy"]))
    assert float(logs["winner/s_mean"]) == float(logs_swapped["loser/s_mean"])


@every_objective
def test_the_order_of_the_batch_does_not_matter(objective: Objective) -> None:
    errors = batch()
    shuffled = map_tensors(errors, lambda _, x: x[torch.tensor([4, 2, 5, 0, 1, 3])])
    one, other = objective(errors), objective(shuffled)
    assert float(one.loss) == pytest.approx(float(other.loss), rel=1e-5)
    for name in one.logs:
        assert float(one.logs[name]) == pytest.approx(float(other.logs[name]), rel=1e-4, abs=1e-6)


@every_objective
def test_draws_are_averaged(objective: Objective) -> None:
    three = batch(draws=3)

    def one(draw: int) -> PairErrors:
        return map_tensors(three, lambda name, x: x if name.startswith("embedding") else x[draw])

    each = [float(objective(one(draw)).loss) for draw in range(3)]
    assert float(objective(three).loss) == pytest.approx(sum(each) / 3, rel=1e-5)


@every_objective
def test_a_step_raises_winners_and_lowers_losers(objective: Objective) -> None:
    if not objective.paired:
        return
    _, to_winner, to_loser = gradients(objective, batch())
    assert (to_winner < 0).all()
    assert (to_loser > 0).all()


@every_objective
def test_a_run_far_off_stays_finite(objective: Objective) -> None:
    errors = batch(spread=60.0)
    output = objective(errors)
    assert all(torch.isfinite(value) for value in (output.loss, *output.logs.values()))
    if objective.paired:
        assert all(g.isfinite().all() for g in gradients(objective, errors))


@every_objective
def test_logs_are_detached_scalars(objective: Objective) -> None:
    errors = map_tensors(batch(), lambda _, x: x.requires_grad_())
    output = objective(errors)
    assert output.loss.requires_grad
    assert torch.equal(output.logs["loss"], output.loss)
    assert all(value.shape == () and not value.requires_grad for value in output.logs.values())


def test_facts() -> None:
    facts = {
        name: (o.uses_reference, o.paired, o.couples_batch)
        for name in ("sft", "f_dpo", "diffusion_dpo", "rpo")
        for o in [make(name, ReverseKL())]
    }
    assert facts == {
        "sft": (False, False, False),
        "f_dpo": (True, True, False),
        "diffusion_dpo": (True, True, False),
        "rpo": (True, True, True),
    }


def test_sft_needs_winners_alone_and_is_their_mean_error() -> None:
    assert float(make("sft", ReverseKL())(PairErrors(torch.tensor([1.0, 2.0, 6.0]))).loss) == 3.0


# --- f_dpo --------------------------------------------------------------------------------------


@every_divergence
def test_f_dpo_is_its_formula(divergence: Divergence) -> None:
    errors = batch()
    s_w, s_l = (s.double() for s in errors.log_ratios())
    losses = [
        math.log1p(math.exp(-0.7 * (float(divergence.h(w)) - float(divergence.h(l)))))
        for w, l in zip(s_w, s_l, strict=True)
    ]
    loss = float(FDPO(divergence, 0.7)(errors).loss)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def public_diffusion_dpo(policy: Tensor, reference: Tensor, beta_dpo: float) -> Tensor:
    """The authors' code: chunks of winners and losers, scale -0.5 beta_dpo, beta_dpo = 5000."""
    model_losses_w, model_losses_l = policy.chunk(2)
    ref_losses_w, ref_losses_l = reference.chunk(2)
    model_diff, ref_diff = model_losses_w - model_losses_l, ref_losses_w - ref_losses_l
    return -torch.nn.functional.logsigmoid(-0.5 * beta_dpo * (model_diff - ref_diff)).mean()


def diffusers_diffusion_dpo(policy: Tensor, reference: Tensor, beta_dpo: float) -> Tensor:
    """The diffusers script: no 0.5, beta_dpo = 2500."""
    policy_logits = policy.chunk(2)[0] - policy.chunk(2)[1]
    reference_logits = reference.chunk(2)[0] - reference.chunk(2)[1]
    return -torch.nn.functional.logsigmoid(beta_dpo * (reference_logits - policy_logits)).mean()


@pytest.mark.parametrize(("scale", "beta"), [(2500.0, 1.0), (1.0, 2500.0), (625.0, 4.0)])
def test_reverse_kl_is_the_two_public_formulas_of_diffusion_dpo(scale: float, beta: float) -> None:
    torch.manual_seed(0)
    target, noise, moved = torch.randn(3, 16, 4, 8, 8)
    reference = prediction_error(target + 0.3 * noise, target)
    policy = prediction_error(target + 0.3 * noise + 0.001 * moved, target)
    s_w, s_l = log_ratio(policy, reference, scale).chunk(2)
    errors = PairErrors(policy[:8], policy[8:], s_w, s_l)
    for objective in (FDPO(ReverseKL(), beta), objectives.create("diffusion_dpo", beta=beta)):
        loss = float(objective(errors).loss)
        assert abs(loss - math.log(2)) > 1e-3
        assert loss == pytest.approx(float(public_diffusion_dpo(policy, reference, 5000)), rel=1e-4)
        assert loss == pytest.approx(float(diffusers_diffusion_dpo(policy, reference, 2500)), rel=1e-4)


@every_divergence
def test_at_a_tiny_scale_every_divergence_is_reverse_kl(divergence: Divergence) -> None:
    delta = batch(64)
    scale = 1e-4
    tiny = replace(
        delta,
        log_ratio_winner=scale * delta.log_ratios()[0],
        log_ratio_loser=scale * delta.log_ratios()[1],
    )
    beta = 2 / scale
    ours = gradients(FDPO(divergence, slope_matched_beta(beta, divergence)), tiny)
    reverse = gradients(FDPO(ReverseKL(), beta), tiny)
    for mine, theirs in zip(ours, reverse, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=0)


DISTINCT = [d for d in DIVERGENCES if d.name != "squared_hellinger"]  # alpha(0.5) at half the beta


@pytest.mark.parametrize("pair", list(itertools.combinations(DISTINCT, 2)))
def test_at_a_large_scale_divergences_separate(pair: tuple[Divergence, Divergence]) -> None:
    large = batch(64, spread=2.0)
    one, other = (torch.cat(gradients(FDPO(d, slope_matched_beta(1.0, d)), large)[1:]) for d in pair)
    low, high = torch.quantile(one / other, torch.tensor([0.1, 0.9]))
    assert high / low > 1.5  # another weighting of the samples, not another beta


# --- gradient fields ------------------------------------------------------------------------------


@every_divergence
def test_the_gradient_field_is_the_gradient(divergence: Divergence) -> None:
    errors = batch(32, spread=2.0)
    field = gradient_field(divergence, 0.7, *errors.log_ratios())
    _, *autograd = gradients(FDPO(divergence, 0.7), errors)
    for mine, theirs in zip(field, autograd, strict=True):
        torch.testing.assert_close(mine / 32, theirs, rtol=1e-5, atol=1e-8)


RATIOS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # f''(X1) / f''(X2), over the ratios X1 of the winner and X2 of the loser
    "reverse_kl": lambda x1, x2: x2 / x1,
    "forward_kl": lambda x1, x2: (x2 / x1) ** 2,
    "alpha(a=0.3)": lambda x1, x2: (x2 / x1) ** 1.3,
    "jensen_shannon": lambda x1, x2: x2 * (1 + x2) / (x1 * (1 + x1)),
    "pearson_chi2": lambda x1, x2: torch.ones_like(x1 + x2),
}


@pytest.mark.parametrize("name", RATIOS)
def test_components_of_the_field_differ_by_f_second(name: str) -> None:
    x1, x2 = (torch.rand(2, 20, dtype=torch.float64) * 3 + 0.1).requires_grad_().unbind(0)
    divergence = divergences.create(name)
    loss = FDPO(divergence, 2.0)(PairErrors(x1, x2, x1.log(), x2.log())).loss
    to_x1, to_x2 = torch.autograd.grad(loss, [x1, x2])
    torch.testing.assert_close(-to_x1 / to_x2, RATIOS[name](x1, x2).detach(), rtol=1e-9, atol=0)


# --- rpo ------------------------------------------------------------------------------------------


def loops(divergence: Divergence, errors: PairErrors, tau: float, weight: str, normalisation: str) -> float:
    """RPO at beta = 0.7 written out, one pair of pairs at a time."""
    s_w, s_l = errors.log_ratios()
    e_w, e_l = errors.embeddings()
    n, total = len(s_w), 0.0
    for i in range(n):
        cos = [float(torch.cosine_similarity(e_w[i], e_l[j], dim=0)) for j in range(n)]
        exps = [math.exp(-(1 - c) / tau) for c in cos]
        for j in range(n):
            w = exps[j] / sum(exps)
            delta = 0.7 * float(divergence.h(s_w[i]) - divergence.h(s_l[j]))
            if weight == "inside":
                inside = w * (n if normalisation == "row*N" else 1)
                total += math.log1p(math.exp(-inside * delta)) / n**2
            else:
                total += w * math.log1p(math.exp(-delta)) / n
    return total


@every_rpo
@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_rpo_is_its_formula(options: dict[str, Any], tau: float) -> None:
    for divergence in (ReverseKL(), JensenShannon(), ForwardKL()):
        ours = float(make("rpo", divergence, tau=tau, **options)(batch()).loss)
        assert ours == pytest.approx(loops(divergence, batch(), tau, **options), rel=1e-5)


@every_rpo
@every_divergence
@pytest.mark.parametrize("draws", [None, 5])
def test_rpo_of_one_pair_is_f_dpo_to_the_bit(
    divergence: Divergence, options: dict[str, Any], draws: int | None
) -> None:
    errors = batch(n=1, draws=draws)
    rpo, f_dpo = make("rpo", divergence, **options), make("f_dpo", divergence)
    for mine, theirs in zip(gradients(rpo, errors), gradients(f_dpo, errors), strict=True):
        assert torch.equal(mine, theirs)


@every_divergence
def test_at_the_reference_winners_get_the_gradient_of_f_dpo_and_losers_its_total(
    divergence: Divergence,
) -> None:
    _, to_winner, to_loser = gradients(make("rpo", divergence), at_reference())
    _, expected_winner, expected_loser = gradients(make("f_dpo", divergence), at_reference())
    torch.testing.assert_close(to_winner, expected_winner)
    torch.testing.assert_close(to_loser.sum(), expected_loser.sum())
    assert not torch.allclose(to_loser, expected_loser, rtol=1e-2)  # the column sums of the weights


def test_weights() -> None:
    axes = torch.eye(3)
    w = contrast_weights(axes, axes, tau=0.5)
    torch.testing.assert_close(w.sum(dim=1), torch.ones(3))
    other = math.exp(-1 / 0.5)
    assert float(w[0, 0]) == pytest.approx(1 / (1 + 2 * other))
    assert float(w[0, 1]) == pytest.approx(other / (1 + 2 * other))
    torch.testing.assert_close(contrast_weights(axes, axes, tau=1e6), torch.full((3, 3), 1 / 3))
    torch.testing.assert_close(contrast_weights(axes, axes, tau=0.01), axes)
    torch.testing.assert_close(contrast_weights(5 * axes, 0.1 * axes, tau=0.5), w)  # only angles count
    rows = contrast_weights(axes[:2], axes[:1].expand(2, -1) + torch.tensor([[0.0], [9.0]]), tau=0.5)
    assert rows[0, 0] > rows[0, 1]  # winner 0 is likest loser 0 ...
    assert rows[1, 1] > rows[1, 0]  # ... so rows are winners and columns losers


def test_weights_are_float32_under_autocast() -> None:
    e_w, e_l = torch.randn(2, 4, 16)
    with torch.autocast("cpu", torch.bfloat16):
        w = contrast_weights(e_w, e_l, 0.5)
    assert torch.equal(w, contrast_weights(e_w, e_l, 0.5))


def test_the_effective_beta_of_the_diagonal_is_logged() -> None:
    errors = replace(batch(3), embedding_winner=torch.eye(3), embedding_loser=torch.eye(3))
    w_ii = 1 / (1 + 2 * math.exp(-2))
    for normalisation, n in (("row*N", 3), ("row", 1)):
        logs = make("rpo", ReverseKL(), normalisation=normalisation)(errors).logs
        assert float(logs["diagonal_beta"]) == pytest.approx(0.7 * n * w_ii)


def test_text_and_image_count_alike() -> None:
    torch.manual_seed(0)
    text, image = torch.randn(4, 8), 100 * torch.randn(4, 3)
    joint = text_image_embedding(text, image)
    mean = (torch.cosine_similarity(text[0], text[1], 0) + torch.cosine_similarity(image[0], image[1], 0)) / 2
    assert float(torch.cosine_similarity(joint[0], joint[1], 0)) == pytest.approx(float(mean), abs=1e-6)
    torch.testing.assert_close(joint.norm(dim=1), torch.ones(4))


# --- logs -----------------------------------------------------------------------------------------


def test_logs_tell_winner_and_loser_apart() -> None:
    s_w, s_l = torch.linspace(0, 4, 101), torch.linspace(-20, 0, 101)
    logs = FDPO(ForwardKL(), 2.0)(PairErrors(s_w, s_l, s_w, s_l)).logs
    levels = [float(logs[f"winner/s_q{q}"]) for q in ("05", "25", "50", "75", "95")]
    assert levels == pytest.approx([0.2, 1.0, 2.0, 3.0, 3.8])
    assert float(logs["winner/s_mean"]) == pytest.approx(2)
    assert float(logs["winner/beyond_knee"]) == 0
    assert float(logs["loser/s_mean"]) == pytest.approx(-10)
    assert float(logs["loser/beyond_knee"]) == pytest.approx(50 / 101)
    assert float(logs["winner/slope_mean"]) == pytest.approx(float(torch.exp(-s_w).mean()))
    h = ForwardKL().h
    assert float(logs["margin"]) == pytest.approx(2 * float((h(s_w) - h(s_l)).mean()))


def test_accuracy_counts_ties_half() -> None:
    s_w, s_l = torch.tensor([1.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 0.0, 2.0, 1.0])
    assert float(FDPO(ReverseKL(), 1.0)(PairErrors(s_w, s_l, s_w, s_l)).logs["accuracy"]) == 0.5
    s_w[0] = -9
    assert float(FDPO(ReverseKL(), 1.0)(PairErrors(s_w, s_l, s_w, s_l)).logs["accuracy"]) == 0.25


# --- what is refused ------------------------------------------------------------------------------


def test_missing_parts_are_named() -> None:
    winners = PairErrors(torch.zeros(3))
    with pytest.raises(ValueError, match=r"log_ratio_winner and log_ratio_loser.*policy_winner"):
        make("f_dpo", ReverseKL())(winners)
    with pytest.raises(ValueError, match="embedding_winner"):
        make("rpo", ReverseKL())(replace(batch(), embedding_winner=None))
    with pytest.raises((ValueError, TypeError)):  # in tests jaxtyping is the first to see it
        replace(batch(), log_ratio_loser=torch.zeros(1)).log_ratios()


@pytest.mark.parametrize(
    "text",
    [
        "f_dpo(beta=0.0)",
        "f_dpo(beta=-1.0)",
        "rpo(tau=0.0)",
        "rpo(weight='between')",
        "rpo(normalisation='column')",
        "f_dpo(gamma=1)",
    ],
)
def test_impossible_settings_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        objectives.create(text, divergence=ReverseKL(), **({} if "beta" in text else {"beta": 1.0}))


def test_rpo_default_is_the_documented_one() -> None:
    rpo = RPO(ReverseKL(), 1.0)
    assert (rpo.weight, rpo.normalisation, rpo.tau) == ("inside", "row*N", 0.5)
