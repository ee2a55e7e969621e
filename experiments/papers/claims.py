"""What the papers claim, the figure that was measured, and the verdict that follows from it.

A verdict is a rule over the rows. *Held*: the paper's number was reached, or where it has none all
differences have the claimed sign by more than two standard errors. *Partly*: some of them. *Did not
hold*: some have the other sign by as much, and none the claimed one. Else it is *not decided*: five
seeds do not tell. The reasons are words, written with the rows in view.
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
HELD, PARTLY, NOT, OPEN = "held", "partly", "did not hold", "not decided"


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


def judged(pairs: list[tuple[Row, Row]], *, reached: bool | None = None) -> str:
    """The verdict on a claim that the first row of every pair has the lower loss.

    Args:
      pairs: what is compared.
      reached: whether the paper's number was; None if it has none.
    """
    better = [less(one, other) for one, other in pairs]
    if all(better) if reached is None else reached:
        return HELD
    if any(better):
        return PARTLY
    return NOT if any(less(other, one) for one, other in pairs) else OPEN


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
    return ours, judged([(row, mezo) for row in rows], reached=min(shares) <= 0.247)


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
    return ours, judged([(one, other)], reached=points >= 25.1)


def _loren_accuracy(found: Found) -> tuple[str, str]:
    one, other = (found.row("LOREN", SMALL, name) for name in ("LOREN", "MeZO"))
    points = _points(one, other)
    ours = f"{points:+.1f} points; loss {_against(one, other)}"
    return ours, judged([(one, other)], reached=points >= 11.7)


def _loren_learning(found: Found) -> tuple[str, str]:
    arms = ("LOREN", "LOREN, frozen", "leave-one-out with momentum")
    learned, frozen, plain = (found.row("LOREN", SMALL, arm) for arm in arms)
    ours = (
        f"loss {_number(loss(learned))} learned, {_number(loss(frozen))} frozen, "
        f"{_number(loss(plain))} without curvature"
    )
    return ours, judged([(learned, frozen), (learned, plain)])


def _loren_temperature(found: Found) -> tuple[str, str]:
    pairs = []
    for problem in (SMALL, STEEP):
        frozen = found.row("LOREN", problem, "LOREN, frozen")
        rows = [row for row in found.of("LOREN") if row["problem"] == problem]
        pairs += [(row, frozen) for row in rows if _narrow(row["arm"])]
    better = [
        f"{_temperature(one)} on {one['problem']}" for one, other in pairs if less(one, other)
    ]
    arms = ("LOREN, radius 1", "LOREN, frozen, radius 1")
    wide = tuple(found.row("LOREN", STEEP, arm) for arm in arms)
    ours = (
        f"better than frozen at ε = 1e-3: {', '.join(better) or 'none of five'}; "
        f"at ε = 1 on the steep direction {_against(*wide)}"
    )
    return ours, judged([*pairs, wide])


def _narrow(arm: str) -> bool:
    return arm.startswith("LOREN") and "frozen" not in arm and "radius" not in arm


def _temperature(row: Row) -> str:
    return row["arm"].partition("temperature ")[2] or "1"


def _faster(
    paper: str, one: str, other: str, problems: tuple[str, ...], number: float
) -> Callable[[Found], tuple[str, str]]:
    """How many times fewer evaluations, beside the paper's factor."""

    def measured(found: Found) -> tuple[str, str]:
        parts, reached, pairs = [], [], []
        for problem in problems:
            ours, theirs = (found.row(paper, problem, name) for name in (one, other))
            times = factor(ours, theirs)
            parts.append(f"{times:.1f} times on {problem} (loss {_against(ours, theirs)})")
            reached.append(times >= number)
            pairs.append((ours, theirs))
        return "; ".join(parts), judged(pairs, reached=all(reached))

    return measured


def _losses(paper: str, one: str, other: str, problems: tuple[str, ...]) -> Callable:
    """Losses at as many evaluations, on each of the problems."""

    def measured(found: Found) -> tuple[str, str]:
        pairs = [
            (found.row(paper, problem, one), found.row(paper, problem, other))
            for problem in problems
        ]
        parts = [f"{_against(*pair)} on {pair[0]['problem']}" for pair in pairs]
        return f"loss {'; '.join(parts)}", judged(pairs)

    return measured


def _adazo_equal_steps(found: Found) -> tuple[str, str]:
    text, verdict = _losses("R-AdaZO", "R-AdaZO", "ZO-AdaMM at equal steps", (SMALL, VALLEY))(found)
    arms = ("R-AdaZO", "ZO-AdaMM at equal steps", "ZO-AdaMM at R-AdaZO's rate")
    ours, equal, shared = (loss(found.row("R-AdaZO", VALLEY, arm)) for arm in arms)
    share = math.log(shared / equal) / math.log(shared / ours)
    return f"{text}, where steps of equal length are {share:.0%} of the gain", verdict


def _bcd_step(found: Found) -> tuple[str, str]:
    here = 1 / found.row("MeZO-BCD", WHOLE, "MeZO-BCD")["step / MeZO's"]
    (there,) = found.elsewhere.where("bcd", form="plain list", law="gaussian")
    most = there["MeZO / MeZO-BCD"]
    ours = f"{here:.1f} times on digits; {most:.1f} times with 26 blocks at 64 tokens (`bcd`)"
    return ours, HELD if max(here, most) >= 2.77 else PARTLY if max(here, most) > 1 else NOT


def _bcd_steps(found: Found) -> tuple[str, str]:
    pair = tuple(found.row("MeZO-BCD", WHOLE, name) for name in ("MeZO-BCD", "MeZO"))
    return f"loss {_against(*pair)} at as many steps", judged([pair])


def adapter(found: Found, arm: str, rank: int, scale: str, noise: float) -> Row:
    """The row of one method, rank, scale and size of noise."""
    return found.row("AR1-ZO", names.adapter(rank, scale, noise), arm)


def _collapse(found: Found) -> tuple[str, str]:
    pairs = [
        tuple(adapter(found, "AR1-ZO", rank, scale, NOISE) for scale in (OURS, USUAL))
        for rank in names.RANKS[1:]
    ]
    return _at_ranks(pairs), judged(pairs)


def _invariant(found: Found) -> tuple[str, str]:
    first, *others = (adapter(found, "AR1-ZO", rank, OURS, NOISE) for rank in names.RANKS)
    losses = ", ".join(_number(loss(row)) for row in (first, *others))
    return f"loss {losses} at ranks 1, 8, 64", judged([(row, first) for row in others])


def _atoms(found: Found) -> tuple[str, str]:
    pairs = [
        tuple(adapter(found, arm, rank, OURS, NOISE) for arm in ("AR1-ZO", "MeZO"))
        for rank in names.RANKS[1:]
    ]
    return _at_ranks(pairs), judged(pairs)


def _at_ranks(pairs: list[tuple[Row, Row]]) -> str:
    named = zip(names.RANKS[1:], pairs, strict=True)
    return "loss " + "; ".join(f"{_against(*pair)} at rank {rank}" for rank, pair in named)


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
        "Matrices of a width of 48 are small for subspaces of 16, and MeZO gains more by a rate "
        "that decays.",
    ),
    Claim(
        "LOREN",
        "is more accurate than MeZO at equally many evaluations",
        "+11.7 points (RoBERTa-large, average of tasks)",
        _loren_accuracy,
        "The means differ so, by 1.6 standard errors.",
    ),
    Claim(
        "LOREN",
        "gains by learning the curvature",
        "no number",
        _loren_learning,
        "Curvature that learns, that is frozen and none at all are within two standard errors.",
    ),
    Claim(
        "LOREN",
        "has a temperature at which that matters",
        "no number",
        _loren_temperature,
        "On the steep direction the loss is lowest without any curvature.",
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
        _losses("R-AdaZO", "R-AdaZO", "ZO-AdaMM", (SMALL, VALLEY)),
        "Each has a rate at which five seeds do not tell them apart.",
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
        _losses("ZoAR", "ZoAR", "averaged baseline without history", (LEVY, SMALL)),
        "What gains is the average over a step's own queries. On batches the history compares "
        "losses of different batches.",
    ),
    Claim(
        "ZoAR",
        "is better than forward differences on noisy losses",
        "no number",
        _losses("ZoAR", "ZoAR", "forward differences", (NOISY, JUMPING, SMALL)),
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
        "The runs of MeZO lie far apart at this rate.",
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
        "does not get worse with the rank",
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
