"""Smaller cases with the same fault."""

from collections.abc import Iterator

import zojax
from tests.fuzz.cases import Case, Fault, Setting
from tests.fuzz.comparing import faults
from tests.fuzz.losses import Loss, Step
from tests.fuzz.samplers import Law, labelled
from tests.fuzz.trees import Leaf, Tree, flat

_MOST_TRIALS = 40


def smaller(fault: Fault) -> Fault:
    """A case as small as few trials find it, in which something of the same kind is wrong."""
    kind, trials = _kind(fault.what), 0
    progress = True
    while progress:
        progress = False
        for case in _candidates(fault.case):
            trials += 1
            if trials > _MOST_TRIALS:
                return fault
            same = [other for other in _tried(case) if _kind(other.what) == kind]
            if same:
                fault, progress = same[0], True
                break
    return fault


def _tried(case: Case) -> list[Fault]:
    try:
        return faults(case)
    except Exception:
        return []


def _kind(what: str) -> str:
    """The same for faults that differ in numbers alone."""
    return what.split(":")[0].split()[0]


def _candidates(case: Case) -> Iterator[Case]:
    """Cases that are one change smaller, those that change most first."""
    setting = case.setting
    for loss in case.losses:
        for steps in _fewer(loss.steps, len(setting.tree.leaves)):
            yield Case(setting, (Loss(steps),))
    for changed in _plainer(setting):
        yield case._replace(setting=changed)


def _fewer(steps: tuple[Step, ...], leaves: int) -> Iterator[tuple[Step, ...]]:
    """The steps without one of them, or all from one on."""
    for end in range(1, len(steps)):
        yield steps[:end]
    for gone in range(len(steps) - 1):
        place = leaves + gone
        kept = steps[gone]
        yield (
            *steps[:gone],
            *(
                step._replace(
                    first=_without(step.first, place, kept.first),
                    second=_without(step.second, place, kept.first),
                )
                for step in steps[gone + 1 :]
            ),
        )


def _without(operand: int, gone: int, instead: int) -> int:
    if operand == gone:
        return instead
    return operand - (operand > gone)


def _plainer(setting: Setting) -> Iterator[Setting]:
    """Settings that are simpler in one respect."""
    plain = Setting(setting.tree, setting.law)
    for name in ("queries", "radius", "chunk", "step", "jit", "low", "x64", "in_turn"):
        value = getattr(plain, name)
        if getattr(setting, name) != value:
            changed = setting._replace(**{name: value})
            yield changed._replace(radius=0.25) if name == "queries" else changed
    if setting.law != Law(zojax.gaussian):
        yield setting._replace(law=Law(zojax.gaussian))
    tree = setting.tree
    if tree.container is not flat:
        yield setting._replace(tree=Tree(tree.leaves, flat))
    for place, leaf in enumerate(tree.leaves):
        for other in (Leaf(leaf.shape), Leaf((4, 3), leaf.dtype)):
            if other != leaf and setting.law.make is not labelled:
                leaves = (*tree.leaves[:place], other, *tree.leaves[place + 1 :])
                yield setting._replace(tree=Tree(leaves, tree.container))
