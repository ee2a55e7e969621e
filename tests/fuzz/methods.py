"""The methods with options under which an update shows the bits of what it was made of.

A method multiplies its estimate by a learning rate, and most do something to it before. With the
options here that is a product with a power of two: moments have decays of 1/2, and what they are
divided by is so large that adding the root of a moment to it is lost in rounding (2³⁰ + √v = 2³⁰
for √v < 64). So `update / factor` is the estimate itself.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from hypothesis import strategies as st

import zojax
from tests.fuzz.samplers import Law
from tests.fuzz.trees import CONTAINERS, Leaf, Tree

RADIUS = 0.25
_RATE = 0.125
_LARGE = 2.0**30
# Products with 2⁻³⁰ are numbers of both.
_DTYPES = ("float32", "float32", "bfloat16")


class Method(NamedTuple):
    """A method under test.

    Attributes:
      make: `(learning_rate, key, radius=..., **options) -> transformation`.
      options: as above.
      differences: "central", "forward", or "pair" for a baseline that two losses share.
      factor: what the estimate is multiplied with in the update.
      signs: whether the update has the estimate's signs alone.
      laws: the `sampler` option is one of these; None if the method has its own.
      queries: K that it can have.
      pay: by how much more a point is paid, so that its coefficient is a power of two: losses that
        are remembered have a say in it.
      late: the paid step is that many steps before the one that is looked at.
      steps: in which points can be paid for, as often as it should be.
      roundings: of an update besides; 0 if its bits are known.
    """

    make: Callable[..., optax.GradientTransformationExtraArgs]
    options: dict[str, Any] = {}  # noqa: RUF012 (a NamedTuple; nothing changes it)
    differences: str = "forward"
    factor: float = 1.0
    signs: bool = False
    laws: tuple[Law, ...] | None = ()
    queries: tuple[int, ...] = (1, 2, 3)
    pay: float = 1.0
    late: int = 0
    steps: tuple[int, ...] = (0, 0, 1, 2)
    roundings: int = 0

    def __call__(self, key: Any, **options: Any) -> optax.GradientTransformationExtraArgs:
        if "sampler" in options:
            options["sampler"] = options["sampler"]()
        return self.make(_RATE, key, radius=RADIUS, **self.options, **options)

    def rate(self) -> float:
        """Update / estimate."""
        return -_RATE * self.factor


# Laws whose z is one product of float32 numbers, or none, however it is used: nothing is summed
# that could be summed in another order.
DENSE = (Law(zojax.gaussian), Law(zojax.rademacher))
EXACT = (
    *DENSE,
    Law(zojax.sphere),
    Law(zojax.coordinate),
    Law(zojax.coordinate, "cyclic"),
    Law(zojax.factored, 1),
    Law(zojax.factored, 1, left_period=2, scale=1.0),
    Law(zojax.factored, 1, left="haar", core="gaussian", right="haar", left_period=2, scale=1.0),
    Law(zojax.factored, 1, core="diagonal", left_period=None, right_period=None, scale=1.0),
    Law(zojax.factored, 1, views=zojax.last_axis_rows, right_period=2, scale=0.5),
)


_ADAM = {"b1": 0.5, "b2": 0.5, "eps": _LARGE}
_PLAIN = {"history": 1, "rule": optax.identity()}


def _zo_muon(rate, key, **options):
    return zojax.zo_muon(rate, key, learning_rate_1d=rate, **options)


def _by_leaf(params):
    """Labels: a block of its own for each leaf, and for each slice of a matrix."""
    leaves, treedef = jax.tree.flatten(params)
    names = [
        zojax.Slices(place) if leaf.ndim > 1 and place % 2 == 0 else str(place)
        for place, leaf in enumerate(leaves)
    ]
    return treedef.unflatten(names)


def _last_axis(path, leaf):
    return leaf.ndim - 1


def _is_matrix(path, leaf):
    return leaf.ndim > 1


# Left out are methods whose coefficients are no powers of two (of a random radius or level, or over
# the spread of losses), and those whose directions depend on what is paid for.
METHODS = {
    "mezo": Method(zojax.mezo, {}, "central", laws=EXACT),
    "mezo_adam": Method(zojax.mezo_adam, _ADAM, "central", 1 / _LARGE, laws=EXACT, steps=(0,)),
    "mezo_adam replayed": Method(
        zojax.mezo_adam, _ADAM | {"history": 3}, "central", 1 / _LARGE, laws=EXACT, steps=(0,)
    ),
    # A step later its weight is (1 - 1/2) 1/2 / (1 - 1/4) = 1/3.
    "mezo_adam replayed later": Method(
        zojax.mezo_adam,
        _ADAM | {"history": 3},
        "central",
        1 / 3 / _LARGE,
        laws=EXACT,
        steps=(0,),
        late=1,
        roundings=6,
    ),
    "mezo_bcd": Method(zojax.mezo_bcd, {"labels": _by_leaf}, "central", laws=DENSE),
    "zo_muon": Method(
        _zo_muon,
        {"rank": 1, "period": 2, "orthogonalization": optax.identity()},
        "forward",
        laws=None,
        queries=(2, 3),
    ),
    "loren": Method(zojax.loren, {"momentum": 0.5}, "pair", laws=None, queries=(2,)),
    "r_adazo": Method(zojax.r_adazo, _ADAM, factor=0.5 / _LARGE, laws=EXACT),
    "zoar": Method(zojax.zoar, _PLAIN, "pair", laws=EXACT, queries=(2,), steps=(0,)),
    "zoar recalled": Method(
        zojax.zoar,
        _PLAIN,
        "pair",
        laws=EXACT,
        queries=(2,),
        pay=3.0,
        late=1,
    ),
    "zoar antithetic": Method(
        zojax.zoar,
        _PLAIN | {"antithetic": True},
        "central",
        factor=0.5,
        laws=EXACT,
        late=1,
    ),
    "ar1_zo": Method(zojax.ar1_zo, {"atoms": _last_axis}, "central", laws=DENSE, queries=(1,)),
    "conmezo": Method(zojax.conmezo, {}, "central", laws=DENSE),
    "dizo": Method(
        zojax.dizo,
        {"interval": 2, "projection_steps": 1, "projected": _is_matrix},
        "central",
        laws=DENSE,
        queries=(1,),
        steps=(0, 1),
    ),
    "eggroll": Method(zojax.eggroll, {"fitness": "centered"}, "central", laws=EXACT),
    "hizoo": Method(zojax.hizoo, {"curvature_rate": 0.75}, "central", laws=None),
    "lozo": Method(zojax.lozo, {"rank": 1, "period": 2}, "central", laws=None),
    "meazo": Method(zojax.meazo, {"eps": _LARGE}, "central", 1 / _LARGE, laws=EXACT),
    # The anchor's own step, and the one behind it.
    "mezo_svrg": Method(zojax.mezo_svrg, {"interval": 1}, "central", laws=EXACT),
    "mezo_svrg recalled": Method(
        zojax.mezo_svrg, {"interval": 3}, "central", laws=EXACT, late=1, steps=(0, 3)
    ),
    "sparse_mezo": Method(zojax.sparse_mezo, {}, "central", laws=DENSE),
    "spsa": Method(zojax.spsa, {"alpha": 0.0, "gamma": 0.0}, "central", laws=EXACT),
    "subzero": Method(zojax.subzero, {"rank": 1, "period": 2}, "central", laws=None),
    "tezo": Method(zojax.tezo, {"rank": 1, "variant": "plain"}, "central", laws=None),
    "zo_sgd": Method(zojax.zo_sgd, {}, laws=EXACT),
    "zo_sign_sgd": Method(zojax.zo_sign_sgd, {}, signs=True, laws=EXACT),
    "zo_adamm": Method(zojax.zo_adamm, _ADAM, factor=0.5 / _LARGE, laws=EXACT),
    "zo_rmsprop": Method(
        zojax.zo_rmsprop, {"b2": 0.5, "eps_root": _LARGE**2}, factor=1 / _LARGE, laws=EXACT
    ),
}


# Those without `num_queries`.
ONE_DIRECTION = ("ar1_zo", "dizo")


class Run(NamedTuple):
    """A method, and how it is run.

    Attributes:
      method: a name.
      tree: of the params.
      law: of the directions, if the method has a choice.
      queries: K.
      chunk: `chunk_size`.
      seed: of the key.
      step: the step in which points are paid for.
      low: whether thresholds are lowered.
      ways: in which the loss looks at a leaf.
      quickly: whether the step is compiled quickly, or as a user would do it.
    """

    method: str
    tree: Tree
    law: Law | None
    queries: int = 1
    chunk: int = 1
    seed: int = 0
    step: int = 0
    low: bool = False
    ways: int = 0
    quickly: bool = False


@st.composite
def runs(draw: st.DrawFn, names: tuple[str, ...] = tuple(METHODS)) -> Run:
    """Runs of one of these methods."""
    name = draw(st.sampled_from(names))
    method = METHODS[name]
    # A difference of two points that were rounded is not what a rounded difference is.
    tree = draw(_trees(("float32",) if method.differences == "pair" else _DTYPES))
    if name == "ar1_zo":
        rank = draw(st.integers(1, 3))
        stack = draw(st.sampled_from(((), (2,))))
        tree = Tree((Leaf((*stack, 4, rank)), Leaf((*stack, 3, rank))), tree.container)
    return Run(
        name,
        tree,
        None if method.laws is None else draw(st.sampled_from(method.laws)),
        draw(st.sampled_from(method.queries)),
        1 if name in ONE_DIRECTION else draw(st.integers(1, 3)),
        draw(st.integers(0, 99)),
        draw(st.sampled_from(method.steps)),
        draw(st.booleans()),
        draw(st.integers(0, 7)),
        draw(st.booleans()),
    )


@st.composite
def _trees(draw: st.DrawFn, dtypes: tuple[str, ...]) -> Tree:
    dtype = draw(st.sampled_from(dtypes))
    shapes = st.sampled_from(((5,), (3, 4), (2, 3, 4), (), (2, 33), (1, 3), (6, 2)))
    first = Leaf(draw(st.sampled_from(((4, 3), (3, 5), (8, 40)))), dtype)
    others = [Leaf(draw(shapes), dtype) for _ in range(draw(st.integers(0, 2)))]
    return Tree((first, *others), draw(st.sampled_from(CONTAINERS)))
