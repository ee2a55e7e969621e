"""A loss cut into pieces, each of which meets the leaves of one block of params.

Whether the block is active is then asked once for a piece, not at each of its weights, and before
the active block a piece is run for all points at once (`run_together`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax.evaluation._interpreter import interpret
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import constants, read, run
from zojax.evaluation._report import drawn
from zojax.evaluation._sequence import own_sequence
from zojax.evaluation._shared_points import all_same, run_together, still_same
from zojax.recipes import Block


def run_in_pieces(program: core.ClosedJaxpr, leaves: Sequence[Perturbed]) -> list[jax.Array]:
    """What a program gives for perturbed arrays: arrays.

    If the leaves are in no numbered blocks, it is one piece.
    """
    jaxpr = program.jaxpr
    values = constants(program)
    values.update(zip(jaxpr.invars, leaves, strict=True))
    first, *pieces = _cut(jaxpr, [_number(leaf) for leaf in leaves])
    first.run(values, jnp.bool(0))
    same = all_same(values.values())
    for piece in pieces:
        same = piece.run(values, same)
    # Constants are written into a program as numbers.
    return [jnp.asarray(x) for x in drawn(None, [read(values, atom) for atom in jaxpr.outvars])]


class _Piece:
    """Equations in their order.

    Attributes:
      eqns: the equations.
      number: of the block that all leaves that they meet are in, None if there is no such block.
      results: the variables that others read.
    """

    def __init__(self, number: int | None = None):
        self.eqns: list[core.JaxprEqn] = []
        self.number = number
        self.results: list[core.Var] = []

    def variables(self) -> list[core.Var]:
        """Those of others that it reads."""
        own = {variable for eqn in self.eqns for variable in eqn.outvars}
        read_by = dict.fromkeys(v for eqn in self.eqns for v in _variables(eqn.invars))
        return [variable for variable in read_by if variable not in own]

    def run(self, values: dict[core.Var, Any], same: jax.Array) -> jax.Array:
        """Adds the results to the values of variables.

        Args:
          values: of the variables.
          same: whether all points have the same arrays among them.

        Returns:
          Whether they have the same afterwards.
        """
        variables = self.variables()

        def lazily(*operands: Any) -> list[Any]:
            inside = dict(zip(variables, operands, strict=True))
            with own_sequence():
                run(self.eqns, inside, interpret)
            return [inside[variable] for variable in self.results]

        operands = [values[variable] for variable in variables]
        if self.number is None:
            results = lazily(*operands)
        else:
            results = run_together(
                lambda *operands: drawn(None, lazily(*operands)), same, *operands
            )
        values.update(zip(self.results, results, strict=True))
        return still_same(same, operands)


def _cut(jaxpr: core.Jaxpr, numbers: Sequence[int | None]) -> list[_Piece]:
    """The program in pieces; the first has what comes of params alone, or of data alone.

    What it makes of a leaf, such as a transposed one, can be lazy and belongs to the leaf's block;
    what it makes of data is the same for all points.
    """
    # The blocks that a variable comes from: none for data, None where params have met data.
    origins: dict[core.Var, set[int | None] | None] = {v: set() for v in jaxpr.constvars}
    origins.update(zip(jaxpr.invars, ({number} for number in numbers), strict=True))
    pieces = [_Piece()]
    for eqn in jaxpr.eqns:
        operands = [_origin(origins, atom) for atom in eqn.invars if not _is_scalar_literal(atom)]
        blocks = set().union(*filter(None, operands))
        alone = None not in operands and (all(operands) or not any(operands))
        origins.update(dict.fromkeys(eqn.outvars, blocks if alone else None))
        number = next(iter(blocks)) if len(blocks) == 1 else None
        if not alone and (len(pieces) == 1 or (blocks and number != pieces[-1].number)):
            pieces.append(_Piece(number))
        pieces[0 if alone else -1].eqns.append(eqn)
    needed = set(_variables(jaxpr.outvars))
    for piece in reversed(pieces):
        made = (variable for eqn in piece.eqns for variable in eqn.outvars)
        piece.results = [variable for variable in made if variable in needed]
        needed.update(piece.variables())
    return pieces


def _number(leaf: Perturbed) -> int | None:
    return leaf.recipe.number if isinstance(leaf.recipe, Block) else None


def _variables(atoms: Iterable[Any]) -> list[core.Var]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]


def _origin(origins: dict[core.Var, set | None], atom: Any) -> set | None:
    return set() if isinstance(atom, core.Literal) else origins[atom]


def _is_scalar_literal(atom: Any) -> bool:
    """One that says what is done with the other operands."""
    return isinstance(atom, core.Literal) and not atom.aval.shape
