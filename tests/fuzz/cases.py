"""Cases: losses, and the setting that they are evaluated in."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.fuzz import samplers, trees
from tests.fuzz.losses import Loss, losses
from tests.fuzz.samplers import Law
from tests.fuzz.trees import Tree

# Losses that share the compilation of a setting.
_TOGETHER = 10


class Setting(NamedTuple):
    """All about an evaluation but for the loss.

    Attributes:
      tree: the params.
      law: the sampler.
      queries: K.
      radius: a number, (P,) or (K, P) of them.
      chunk: `chunk_size`.
      seed: of the run's key.
      step: of the run; earlier ones are drawn before it.
      jit: whether all is one compiled program.
      low: whether thresholds are lowered.
      x64: whether double precision is on.
      in_turn: whether directions are drawn where they are evaluated, if the sampler can.
    """

    tree: Tree
    law: Law
    queries: int = 1
    radius: Any = 0.25
    chunk: int = 1
    seed: int = 0
    step: int = 0
    jit: bool = True
    low: bool = False
    x64: bool = False
    in_turn: bool = False


class Case(NamedTuple):
    """Losses that are evaluated side by side; each counts as one."""

    setting: Setting
    losses: tuple[Loss, ...]


class Fault(NamedTuple):
    """A case of one loss, and what is wrong."""

    case: Case
    what: str


@st.composite
def settings(draw: st.DrawFn) -> Setting:
    """All settings."""
    x64 = draw(st.integers(0, 5)) == 5
    tree = draw(trees.trees(wide=x64))
    queries = draw(st.integers(1, 3))
    number = st.sampled_from((0.25, -0.5, 0.125, 2.0**-10))
    points = draw(st.integers(1, 2))
    several = st.lists(number, min_size=points, max_size=points).map(tuple)
    each = st.lists(several, min_size=queries, max_size=queries).map(tuple)
    return Setting(
        tree,
        draw(samplers.laws(tree)),
        queries,
        draw(st.one_of(number, several, several, each)),
        draw(st.integers(1, 3)),
        draw(st.integers(0, 99)),
        draw(st.sampled_from((0, 0, 0, 1, 2))),
        draw(st.integers(0, 15)) != 15,
        draw(st.booleans()),
        x64,
        draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn, without: frozenset[str] = frozenset()) -> Case:
    """Cases of about ten losses; of fewer where a program of theirs is large."""
    setting = draw(settings())
    most = 1 if not setting.jit else 3 if setting.law.make is samplers.labelled else _TOGETHER
    one = losses(len(setting.tree.leaves), without)
    return Case(setting, tuple(draw(st.lists(one, min_size=max(most - 2, 1), max_size=most))))
