"""What the papers claim, the figure that was measured, and the verdict that follows from it.

A verdict is a rule over the rows: "held" if the paper's number, or what it says without one, was
reached; "partly" if the difference has the claimed sign, by more than two standard errors; else
"did not hold". The reasons are words, written with the rows in view.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from experiments._results import Row
from experiments.papers import names
from experiments.papers.found import Found, factor, less, loss
from experiments.papers.names import JUMPING, LEVY, NOISY, OURS, SMALL, STEEP, USUAL, VALLEY, WHOLE

# Of adapters, where it matters.
NOISE = names.NOISES[-1]
HELD, PARTLY, NOT = "held", "partly", "did not hold"


class Claim(NamedTuple):
    """A row of the table of verdicts.

    Attributes:
      paper: the method.
      text: what is claimed.
      number: the paper's, and where it stands.
      measured: `(found) -> (ours, verdict)`.
      why: the reason.
    """

    paper: str
    text: str
    number: str
    measured: Callable[[Found], tuple[str, str]]
    why: str


def judged(*, reached: bool, sign: bool) -> str:
    """The verdict."""
    if reached:
        return HELD
    return PARTLY if sign else NOT


def _number(value: float) -> str:
    if math.isinf(value):
        return "diverged"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _against(one: Row, other: Row) -> str:
    return f"{_number(loss(one))} against {_number(loss(other))}"


def _points(one: Row, other: Row) -> float:
    return 100 * ((one["accuracy"] or 0.0) - (other["accuracy"] or 0.0))


def _muon_share(found: Found) -> tuple[str, str]:
    kinds = ("", ", decaying", ", decaying, 8 queries", ", decaying, half", ", decaying, quarter")
    rows = [found.row("ZO-Muon", WHOLE, f"ZO-Muon{kind}") for kind in kinds]
    shares = [found.share(row) for row in rows]
    mezo = found.row("ZO-Muon", WHOLE, "MeZO")
    ours = (
        f"{_share(shares[0])} at a constant rate, {_share(min(shares))} at the best; "
        f"with a quarter of them a loss of {_against(rows[-1], mezo)}"
    )
    return ours, judged(reached=min(shares) <= 0.247, sign=min(shares) < 1)


def _share(share: float) -> str:
    return "not reached" if math.isinf(share) else f"{share:.0%}"


def _muon_accuracy(found: Found) -> tuple[str, str]:
    one, other = (found.row("ZO-Muon", WHOLE, f"{name}, decaying") for name in ("ZO-Muon", "MeZO"))
    points = _points(one, other)
    more = found.row("ZO-Muon", WHOLE, "ZO-Muon, decaying, 8 queries")
    ours = (
        f"{points:+.1f} points, both with rates that decay; loss {_against(one, other)}, "
        f"{_number(loss(more))} with 8 queries"
    )
    return ours, judged(reached=points >= 25.1, sign=less(one, other))


def _loren_accuracy(found: Found) -> tuple[str, str]:
    one, other = (found.row("LOREN", SMALL, name) for name in ("LOREN", "MeZO"))
    points = _points(one, other)
    ours = f"{points:+.1f} points; loss {_against(one, other)}"
    return ours, judged(reached=points >= 11.7, sign=less(one, other))


def _loren_learning(found: Found) -> tuple[str, str]:
    arms = ("LOREN", "LOREN, frozen", "leave-one-out with momentum")
    learned, frozen, plain = (found.row("LOREN", SMALL, arm) for arm in arms)
    ours = (
        f"loss {_number(loss(learned))} learned, {_number(loss(frozen))} frozen, "
        f"{_number(loss(plain))} without curvature"
    )
    helps = [less(learned, other) for other in (frozen, plain)]
    return ours, judged(reached=all(helps), sign=any(helps))


def _loren_temperature(found: Found) -> tuple[str, str]:
    better = []
    for problem in (SMALL, STEEP):
        frozen = found.row("LOREN", problem, "LOREN, frozen")
        rows = [row for row in found.of("LOREN") if row["problem"] == problem]
        better += [
            f"{_temperature(row)} on {problem}"
            for row in rows
            if _narrow(row["arm"]) and less(row, frozen)
        ]
    wide, frozen = (
        found.row("LOREN", STEEP, f"LOREN, {name}radius 1") for name in ("", "frozen, ")
    )
    ours = (
        f"better than frozen at ε = 1e-3: {', '.join(better) or 'none of five'}; "
        f"at ε = 1 on the steep direction {_against(wide, frozen)}"
    )
    return ours, judged(reached=bool(better), sign=less(wide, frozen))


def _narrow(arm: str) -> bool:
    return arm.startswith("LOREN") and "frozen" not in arm and "radius" not in arm


def _temperature(row: Row) -> str:
    return row["arm"].partition("temperature ")[2] or "1"


def _faster(
    paper: str, one: str, other: str, problems: tuple[str, ...], number: float
) -> Callable[[Found], tuple[str, str]]:
    """How many times fewer evaluations, beside the paper's factor."""

    def measured(found: Found) -> tuple[str, str]:
        parts, reached, better = [], [], []
        for problem in problems:
            ours, theirs = (found.row(paper, problem, name) for name in (one, other))
            times = factor(ours, theirs)
            parts.append(f"{times:.1f} times on {problem} (loss {_against(ours, theirs)})")
            reached.append(times >= number)
            better.append(less(ours, theirs))
        return "; ".join(parts), judged(reached=all(reached), sign=any(better))

    return measured


def _adazo_tuned(found: Found) -> tuple[str, str]:
    parts, better = [], []
    for problem in (SMALL, VALLEY):
        ours, theirs = (found.row("R-AdaZO", problem, name) for name in ("R-AdaZO", "ZO-AdaMM"))
        parts.append(f"{_against(ours, theirs)} on {problem}")
        better.append(less(ours, theirs))
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


def _adazo_equal_steps(found: Found) -> tuple[str, str]:
    parts, better = [], []
    for problem in (SMALL, VALLEY):
        arms = ("R-AdaZO", "ZO-AdaMM at equal steps", "ZO-AdaMM at R-AdaZO's rate")
        ours, equal, shared = (found.row("R-AdaZO", problem, arm) for arm in arms)
        gain = math.log(loss(shared) / loss(ours)) if math.isfinite(loss(shared)) else math.inf
        step = math.log(loss(shared) / loss(equal)) if math.isfinite(loss(equal)) else -math.inf
        share = f" (a share of {step / gain:.0%} of what a shared rate gains)" if gain > 0.1 else ""
        parts.append(f"{_against(ours, equal)} on {problem}{share}")
        better.append(less(ours, equal))
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


def _history(found: Found) -> tuple[str, str]:
    parts, better = [], []
    for problem in (LEVY, SMALL):
        arms = ("ZoAR", "averaged baseline without history")
        ours, without = (found.row("ZoAR", problem, arm) for arm in arms)
        parts.append(f"{_against(ours, without)} on {problem}")
        better.append(less(ours, without))
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


def _noisy(found: Found) -> tuple[str, str]:
    parts, better = [], []
    for problem in (NOISY, JUMPING, SMALL):
        ours, forward = (
            found.row("ZoAR", problem, name) for name in ("ZoAR", "forward differences")
        )
        parts.append(f"{_against(ours, forward)} on {problem}")
        better.append(less(ours, forward))
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


def _bcd_step(found: Found) -> tuple[str, str]:
    here = 1 / found.row("MeZO-BCD", WHOLE, "MeZO-BCD")["step / MeZO's"]
    (there,) = found.elsewhere.where("bcd", form="plain list", law="gaussian")
    most = there["MeZO / MeZO-BCD"]
    ours = f"{here:.1f} times on digits; {most:.1f} times with 26 blocks at 64 tokens (`bcd`)"
    return ours, judged(reached=max(here, most) >= 2.77, sign=max(here, most) > 1)


def _bcd_steps(found: Found) -> tuple[str, str]:
    ours, mezo = (found.row("MeZO-BCD", WHOLE, name) for name in ("MeZO-BCD", "MeZO"))
    return f"loss {_against(ours, mezo)} at as many steps", judged(
        reached=not less(mezo, ours), sign=False
    )


def adapter(found: Found, arm: str, rank: int, scale: str, noise: float) -> Row:
    """The row of one method, rank, scale and size of noise."""
    return found.row("AR1-ZO", names.adapter(rank, scale, noise), arm)


def _collapse(found: Found) -> tuple[str, str]:
    ranks = (8, 64)
    pairs = [
        [adapter(found, "AR1-ZO", rank, scale, NOISE) for scale in (OURS, USUAL)] for rank in ranks
    ]
    parts = [f"{_against(*pair)} at rank {rank}" for rank, pair in zip(ranks, pairs, strict=True)]
    better = [less(*pair) for pair in pairs]
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


def _invariant(found: Found) -> tuple[str, str]:
    rows = [adapter(found, "AR1-ZO", rank, OURS, NOISE) for rank in names.RANKS]
    text = f"loss {', '.join(_number(loss(row)) for row in rows)} at ranks 1, 8, 64"
    return text, judged(reached=not less(rows[0], rows[-1]), sign=not less(rows[0], rows[1]))


def _atoms(found: Found) -> tuple[str, str]:
    parts, better = [], []
    for rank in (8, 64):
        atoms, whole = (adapter(found, arm, rank, OURS, NOISE) for arm in ("AR1-ZO", "MeZO"))
        parts.append(f"{_against(atoms, whole)} at rank {rank}")
        better.append(less(atoms, whole))
    return f"loss {'; '.join(parts)}", judged(reached=all(better), sign=any(better))


CLAIMS = (
    Claim(
        "ZO-Muon",
        "reaches MeZO's result with a share of its evaluations",
        "24.7 % (abstract, accuracy on SST-2)",
        _muon_share,
        "Much of it is the schedule: MeZO, too, gets there early at a rate that decays.",
    ),
    Claim(
        "ZO-Muon",
        "is more accurate at equally many evaluations",
        "+25.1 points (abstract, ViT-B on CIFAR-100)",
        _muon_accuracy,
        "At a constant rate ZO-Muon is ahead; at rates that decay both are alike. Matrices of a "
        "width of 48 are small for subspaces of 16.",
    ),
    Claim(
        "LOREN",
        "is more accurate than MeZO at equally many evaluations",
        "+11.7 points (RoBERTa-large, average of tasks)",
        _loren_accuracy,
        "The means differ so, by less than two standard errors of five seeds.",
    ),
    Claim(
        "LOREN",
        "gains by learning the curvature",
        "no number",
        _loren_learning,
        "At these radii the curvature hardly moves from where it starts.",
    ),
    Claim(
        "LOREN",
        "has a temperature at which that matters",
        "no number",
        _loren_temperature,
        "Higher temperatures move it, and no loss becomes lower by that. The steep direction is "
        "passed faster without any curvature.",
    ),
    Claim(
        "R-AdaZO",
        "is faster than ZO-AdaMM at a rate that both share",
        "2.8 times (attack on MNIST)",
        _faster("R-AdaZO", "R-AdaZO", "ZO-AdaMM at R-AdaZO's rate", (SMALL, VALLEY), 2.8),
        "The rate is R-AdaZO's best one, at which ZO-AdaMM's steps are four times shorter.",
    ),
    Claim(
        "R-AdaZO",
        "is better at each one's tuned rate",
        "no number",
        _adazo_tuned,
        "Each has a rate at which it is as good as the other.",
    ),
    Claim(
        "R-AdaZO",
        "is better at steps of equal length",
        "no number",
        _adazo_equal_steps,
        "What R-AdaZO gains at a shared rate is a longer step.",
    ),
    Claim(
        "ZoAR",
        "is faster than forward differences",
        "5.33 times (figure, Levy under R-AdaZO, one rate)",
        _faster("ZoAR", "ZoAR", "forward differences", (LEVY,), 5.33),
        "The paper has 10,000 variables and one rate for all; here each has its own best rate.",
    ),
    Claim(
        "ZoAR",
        "gains by its history",
        "no number",
        _history,
        "What gains is the average over a step's own queries. On batches the history compares "
        "losses of different batches.",
    ),
    Claim(
        "ZoAR",
        "is better than forward differences on noisy losses",
        "no number",
        _noisy,
        "Noise of single evaluations averages out. Where batches differ as a whole, old losses "
        "mislead, unless each step keeps a baseline of its own (`per_block`).",
    ),
    Claim(
        "MeZO-BCD",
        "has faster steps",
        "up to 2.77 times (abstract, OPT-13B)",
        _bcd_step,
        "A step saves noise and update, which are less of it here.",
    ),
    Claim(
        "MeZO-BCD",
        "needs no more steps than MeZO",
        "comparable (abstract)",
        _bcd_steps,
        "The runs of MeZO lie far apart at this rate, so this says little.",
    ),
    Claim(
        "AR1-ZO",
        "keeps a signal that atoms under α/r lose with the rank",
        "1/r (abstract)",
        _collapse,
        "Under α/r the losses of an atom at both points differ too little to be seen in the noise.",
    ),
    Claim(
        "AR1-ZO",
        "does not depend on the rank",
        "none (abstract)",
        _invariant,
        "The loss does not grow with the rank; at rank 1 the adapter is too small for the task.",
    ),
    Claim(
        "AR1-ZO",
        "does better with noise than the whole adapter at the same scale",
        "no number",
        _atoms,
        "As in the toy of `ar1_signal`: a whole adapter at the same scale has no less signal, and "
        "all of it moves in every step.",
    ),
)
