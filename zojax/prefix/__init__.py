"""Prefix tuning: trained keys and values before those of a sequence, for Flax NNX models.

    attention(Q, K, V)  becomes  attention(Q, [K_0; K], [V_0; V])

in every layer, with K_0 and V_0 of shape (length, key heads, head width) each, the same for all
rows of a batch and visible from every position. They are `PrefixParam`s; layers that a model keeps
as one stack have them with a leading axis, (layers, length, key heads, head width). In a decoder
the prefix takes positions 0...length-1 and the sequence comes after it, as `transformers` and PEFT
have it for keys and values that are remembered. In an encoder the positions of the sequence stay.

There is no reparametrization, and K_0 and V_0 start as the keys and values of real tokens, without
which MeZO's runs lose much (arXiv:2305.17333, appendix E.5).

Only the prefix is trained; the rest reaches the loss as an argument, neither copied nor perturbed:

    model = prefix.adapt(model, length=5, key=key)
    graphdef, trained, frozen = nnx.split(model, prefix.PrefixParam, ...)

Reference: Li, Liang, "Prefix-Tuning: Optimizing Continuous Prompts for Generation",
arXiv:2101.00190.
"""

from zojax.prefix._adapt import adapt
from zojax.prefix._module import Prefix, PrefixParam, remove
from zojax.prefix._peft import load_peft, save_peft

__all__ = ["Prefix", "PrefixParam", "adapt", "load_peft", "remove", "save_peft"]
