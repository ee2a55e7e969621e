"""The factor s in front of the product of an adapter, for the two ways it is chosen.

`scale` is what the forward pass multiplies with, whatever it is called elsewhere. A file of PEFT
holds its numerator, lora_alpha = scale · rank.
"""

from zojax import _checks


def canonical_scale(alpha: float, rank: int) -> float:
    """The scale of LoRA as published: s = α/r.

    With it, what perturbing one atom does to the loss shrinks as 1/r, and the ratio of this signal
    to noise in the loss as 1/r².

    Args:
      alpha: α, above 0; MeZO's runs take 16 at rank 8, so s = 2.
      rank: r, at least 1.

    Raises:
      ValueError: if a number is out of range.
    """
    _checks.positive(alpha=alpha, rank=rank)
    return alpha / rank


def ar1_scale(alpha: float) -> float:
    """The scale of AR1-ZO: s = α at every rank, so that the signal of an atom is the same at each.

    AR1-ZO states it as γ = α r, where γ is the numerator that LoRA divides by r: s = γ/r = α. It is
    written to files as lora_alpha = α r. To match canonical runs with α/r = 2, take α = 2, not 16.
    A learning rate that suits s is worth about (s/s')² of itself at s'.

    Args:
      alpha: α, above 0.

    Raises:
      ValueError: if it is not.

    Source: Chen, Lin, Zhang, Yan, Yang, Shu, arXiv:2605.19767, of which we know the abstract: that
    γ is the numerator follows from its claim that the signal does not depend on the rank.
    """
    _checks.positive(alpha=alpha)
    return float(alpha)
