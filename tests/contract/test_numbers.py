"""Every number of the public functions is looked at when it is given, and an error names it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.typing import ArrayLike

import zojax
from zojax import methods

# What is given where there is no default.
GIVEN = {
    "key": jax.random.key(0),
    "learning_rate": 1e-3,
    "sampler": zojax.gaussian(),
    "estimator": zojax.central(),
    "inner": optax.chain(
        zojax.estimate_gradient(jax.random.key(0), zojax.gaussian(), zojax.central())
    ),
    "angle": 1.2,
    "decay": 0.9,
    "sparsity": 0.75,
    "num_coordinates": 2,
    "rank": 2,
    "history": 2,
    "rho": 1.0,
    "rate": 0.1,
    "lower": -1.0,
    "upper": 1.0,
}
# Where None says something.
OPTIONAL = {
    ("grzo", "chunk_size"),
    ("factored", "left_period"),
    ("factored", "right_period"),
    ("factored", "scale"),
    ("lozo", "period"),
    ("mezo_adam", "history"),
    ("mezo_gv", "elite"),
    ("p_gap", "scale"),
    ("probed", "scale"),
    ("r_adazo", "history"),
    ("selected", "elite"),
    ("scale_by_zo_adamm", "initial_second_moment"),
    ("subzero", "period"),
    ("zo_adamm", "history"),
    ("zo_mopi", "period"),
    ("zo_muon", "period"),
    ("zo_rmsprop", "history"),
}
# Where inf says that there is no bound, and an array has one for each entry.
UNBOUNDED = {("project_to_box", "lower"), ("project_to_box", "upper")}
NEVER = (float("nan"), jnp.float32(jnp.nan), "0.1", True, np.bool_(True), 1j)
ENDLESS = (float("inf"), np.float32(-np.inf), np.ones(2))
REAL = (float, float | None, ArrayLike, ArrayLike | None, optax.ScalarOrSchedule)
BOUND = inspect.signature(zojax.project_to_box).parameters["lower"].annotation
NUMBERS = (int, int | None, *REAL, BOUND)
MADE = (
    zojax.Sampler,
    zojax.Estimator,
    optax.GradientTransformation,
    optax.GradientTransformationExtraArgs,
)


def numbers(factory, kinds=NUMBERS):
    """The parameters of a factory that are annotated with one of `kinds`."""
    parameters = inspect.signature(getattr(zojax, factory)).parameters.values()
    return [parameter.name for parameter in parameters if parameter.annotation in kinds]


def factories():
    """The public functions that make a sampler, an estimator or a transformation of numbers."""
    for name, thing in vars(zojax).items():
        is_function = inspect.isfunction(thing) and not name.startswith("_")
        if is_function and inspect.signature(thing).return_annotation in MADE and numbers(name):
            yield name


def make(factory, **changes):
    function = getattr(zojax, factory)
    parameters = inspect.signature(function).parameters.values()
    given = {p.name: GIVEN[p.name] for p in parameters if p.default is p.empty}
    return function(**given | changes)


FACTORIES = list(factories())
ROWS = [(factory, name) for factory in FACTORIES for name in numbers(factory)]


def test_all_factories_and_numbers_are_found():
    assert set(methods.__all__) < set(FACTORIES)
    assert {"blocks", "estimate_gradient", "moving_average", "project_to_box"} < set(FACTORIES)
    assert all((name, "learning_rate") in ROWS for name in methods.__all__)
    assert set(ROWS) >= OPTIONAL | UNBOUNDED
    assert {("zo_muon", "learning_rate_1d"), ("anisotropic", "rate"), ("blocks", "hold")} <= set(
        ROWS
    )


@pytest.mark.parametrize(("factory", "name"), ROWS)
def test_what_is_no_finite_number_is_refused_by_name(factory, name):
    bad = list(NEVER)
    if (factory, name) not in UNBOUNDED:
        bad += ENDLESS
    if (factory, name) not in OPTIONAL:
        bad.append(None)
    for value in bad:
        with pytest.raises(ValueError, match=rf"{name} .*got") as error:
            make(factory, **{name: value})
        assert repr(value) in str(error.value) or str(value) in str(error.value)


@pytest.mark.parametrize("factory", FACTORIES)
def test_numbers_of_numpy_and_jax_are_taken_also_where_something_is_traced(factory):
    """An array that is closed over is concrete inside jit, but nothing may be computed with it."""
    parameters = inspect.signature(getattr(zojax, factory)).parameters
    real = {name: parameters[name].default for name in numbers(factory, REAL)}
    real = {name: GIVEN.get(name, value) for name, value in real.items() if value is not None}
    for kind in (np.float32, np.float64, jnp.float32):
        make(factory, **{name: kind(value) for name, value in real.items()})
    arrays = {name: jnp.asarray(value) for name, value in real.items()}

    def traced(arguments):
        make(factory, **arrays)
        make(factory, **arguments)

    jax.eval_shape(traced, arrays)


@pytest.mark.parametrize("method", methods.__all__)
def test_a_learning_rate_is_a_number_or_a_schedule(method):
    for rate in (0, 0.0, -1e-3, 2, np.int64(1), jnp.bfloat16(0.5), optax.linear_schedule(1, 0, 9)):
        make(method, learning_rate=rate)
    with pytest.raises(ValueError, match=r"learning_rate must be .* schedule .* got '1e-3'"):
        make(method, learning_rate="1e-3")


def test_integers_of_numpy_fix_shapes_as_well():
    assert zojax.central(num_queries=np.int64(3)).num_queries == 3
    with pytest.raises(ValueError, match="num_queries must be an integer of at least 1, got"):
        zojax.central(num_queries=np.int64(0))
