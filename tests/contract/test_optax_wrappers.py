"""What each wrapper of optax does around a method: a table with a row for every one of them.

A method makes its updates of losses and ignores what comes in. Wrappers hand things on, skip steps,
or compute with incoming updates; which of them go with a method follows from that.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from contract_rows import METHODS
from contract_steps import SINGLE, build, quadratic
from optax.experimental import aggregating

import zojax

CLOSE = {"rtol": 1e-6, "atol": 1e-6}
ALL, SOME = {"b": True, "w": True}, {"b": False, "w": True}
NONE = {"b": False, "w": False}
LABELS = {"b": "zo", "w": "zo"}
STATIC = ("num_queries", "chunk_size", "accumulate", "sampler")


OPTIONS = {
    "learning_rate": 0.05,
    "key": jax.random.key(0),
    "radius": 0.25,
    "sampler": zojax.rademacher(),
    "weight_decay": 1e-3,
}


def mezo():
    return zojax.mezo(**OPTIONS)


def estimate():
    return zojax.estimate_gradient(jax.random.key(0), zojax.rademacher(), zojax.central(0.25))


def plain(tx):
    """A transformation whose update takes no extra arguments, for chains that carry some."""
    return optax.GradientTransformation(*tx)


def always(step, **extra_args):
    return step >= 0


def every_second(step, **extra_args):
    return step % 2 == 1


def stepper(tx, loss=quadratic):
    """A step as it is written for a wrapper: zeros come in."""

    @jax.jit
    def step(params, state, target=1.0):
        incoming = zojax.no_updates(params)
        updates, state = tx.update(incoming, state, params, value_fn=loss, target=target)
        return optax.apply_updates(params, updates), state

    return step


def trajectory(tx, count, params=SINGLE):
    """Params after each of `count` steps."""
    step, state, visited = stepper(tx), tx.init(params), []
    for _ in range(count):
        params, state = step(params, state)
        visited.append(params)
    return visited


@pytest.fixture(scope="module")
def bare():
    return trajectory(mezo(), 3)


def test_no_updates_are_zeros_like_params():
    params = {"half": jnp.ones(3, jnp.bfloat16), "w": [jnp.ones((2, 1))]}
    zeros = zojax.no_updates(params)
    chex.assert_trees_all_equal_shapes_and_dtypes(zeros, params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(zeros))


# These hand everything on: the very program of the method.
HANDING_ON = {
    "chain": optax.chain,
    "named_chain": lambda tx: optax.named_chain(("zo", tx), ("more", optax.identity())),
    "with_extra_args_support": optax.with_extra_args_support,
    "masked, all": lambda tx: optax.masked(tx, ALL),
    "masked, prefix": lambda tx: optax.masked(tx, True),
    "partition, one label": lambda tx: optax.partition({"zo": tx}, LABELS),
    "partition, another unused": lambda tx: optax.partition(
        {"zo": tx, "frozen": optax.set_to_zero()}, LABELS
    ),
    "selective_transform, none": lambda tx: optax.selective_transform(tx, freeze_mask=NONE),
}
# These compute something more, or choose between the method and nothing.
CHOOSING = {
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, always, forward_extra_args=True),
    "conditionally_transform": lambda tx: optax.conditionally_transform(tx, always),
    "snapshot and monitor behind": lambda tx: optax.chain(
        tx, optax.snapshot("norm", optax.tree.norm), optax.monitor({"size": optax.tree.norm})
    ),
}
SKIPPING = {
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, every_second),
    "conditionally_transform": lambda tx: optax.conditionally_transform(tx, every_second),
}


def program(tx):
    """All operations of a step, as text."""
    return str(jax.make_jaxpr(stepper(tx))(SINGLE, tx.init(SINGLE)))


@pytest.mark.parametrize("name", HANDING_ON)
def test_a_wrapper_that_hands_on_is_the_same_program(name):
    assert program(HANDING_ON[name](mezo())) == program(mezo())


@pytest.mark.parametrize("name", CHOOSING)
def test_a_wrapper_that_always_says_yes_changes_nothing(name, bare):
    chex.assert_trees_all_close(trajectory(CHOOSING[name](mezo()), 2), bare[:2], **CLOSE)


@pytest.mark.parametrize("name", SKIPPING)
def test_a_skipped_step_changes_neither_params_nor_state(name, bare):
    """Every second step is taken, and draws what the method's next step would."""
    visited = trajectory(SKIPPING[name](mezo()), 4)
    chex.assert_trees_all_equal(visited[0], SINGLE)
    chex.assert_trees_all_equal(visited[1], visited[2])
    chex.assert_trees_all_close(visited[1::2], bare[:2], **CLOSE)


def test_a_method_with_more_state_skips_steps_as_well(key):
    """MeZO-BCD with a block that is held for two steps."""
    row = METHODS["mezo_bcd"]
    bare = trajectory(build(row, key), 3)
    skipping = trajectory(SKIPPING["conditionally_mask"](build(row, key)), 6)
    chex.assert_trees_all_close(skipping[1::2], bare, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_may_be_skipped(name, key):
    """Its state and updates have the same shapes and dtypes in either case, as XLA demands."""
    tx = SKIPPING["conditionally_mask"](build(METHODS[name], key))
    state = tx.init(SINGLE)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        jax.eval_shape(stepper(tx), SINGLE, state), (SINGLE, state)
    )


def test_hyperparameters_may_be_injected(bare):
    tx = optax.inject_hyperparams(zojax.mezo, static_args=STATIC)(**OPTIONS)
    chex.assert_trees_all_close(trajectory(tx, 2), bare[:2], **CLOSE)


def test_apply_if_finite_changes_nothing_and_counts_nothing(bare):
    """It looks at what comes in, which is finite whatever the loss is; the method counts."""
    tx = optax.apply_if_finite(mezo(), max_consecutive_errors=1)
    step, params, state = stepper(tx), SINGLE, tx.init(SINGLE)
    for expected in bare[:2]:
        params, state = step(params, state, 1.0)
        chex.assert_trees_all_close(params, expected, **CLOSE)
    kept, state = step(params, state, jnp.nan)
    chex.assert_trees_all_equal(kept, params)
    assert state.total_notfinite == 0
    assert optax.tree.get(state, "num_nonfinite") == 1


def test_schedule_free_averages_the_points_of_the_method():
    """y = (1 - b) z + b x, z moves by the update at y, x is the mean of all z behind the start."""
    b = 0.5
    visited = trajectory(optax.contrib.schedule_free(mezo(), 0.05, b1=b), 3)
    tx, y, z, x = mezo(), SINGLE, SINGLE, SINGLE
    state = tx.init(SINGLE)
    update = jax.jit(lambda y, state: tx.update(None, state, y, value_fn=quadratic, target=1.0))
    for t in (1, 2, 3):
        u, state = update(y, state)
        z = jax.tree.map(jnp.add, z, u)
        x = jax.tree.map(lambda x, z, t=t: x + (z - x) / t, x, z)
        y = jax.tree.map(lambda x, z: (1 - b) * z + b * x, x, z)
        chex.assert_trees_all_close(visited[t - 1], y, rtol=1e-5, atol=1e-5)


# Where the method would not see the loss or the params as they are, it or optax refuses.
HOLES = "params have holes"
UNEXPECTED = "unexpected keyword argument 'value_fn'"
DROPPED = "estimate_gradient needs `value_fn`"
REFUSED = {
    "masked, some": (lambda tx: optax.masked(tx, SOME), HOLES),
    "masked, callable": (lambda tx: optax.masked(tx, lambda p: SOME), HOLES),
    "partition": (
        lambda tx: optax.partition(
            {"zo": tx, "frozen": optax.sgd(1.0)}, {"b": "frozen", "w": "zo"}
        ),
        HOLES,
    ),
    "selective_transform": (lambda tx: optax.selective_transform(tx, freeze_mask=SOME), HOLES),
    "flatten": (optax.flatten, "string indexing"),
    "lookahead": (lambda tx: optax.lookahead(tx, 2, 0.5), UNEXPECTED),
    "sam": (lambda tx: optax.contrib.sam(tx, optax.sgd(0.1)), UNEXPECTED),
    "sam, opaque": (lambda tx: optax.contrib.sam(tx, optax.sgd(1.0), opaque_mode=True), UNEXPECTED),
    "split_real_and_imaginary": (optax.contrib.split_real_and_imaginary, UNEXPECTED),
    "split_real_and_imaginary in a chain": (
        lambda tx: optax.chain(optax.contrib.split_real_and_imaginary(tx)),
        DROPPED,
    ),
    "MultiSteps in a chain": (
        lambda tx: optax.chain(optax.MultiSteps(tx, 2).gradient_transformation()),
        DROPPED,
    ),
    "scale_by_galore": (
        lambda tx: optax.contrib.scale_by_galore(rank=1, base_optimizer=tx),
        UNEXPECTED,
    ),
    "aggregating.process": (
        lambda tx: aggregating.process(optax.identity(), optax.identity(), tx),
        UNEXPECTED,
    ),
}


def by_name(params, target):
    return jnp.mean((params["w"] - target) ** 2)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_wrapper_that_cannot_work_is_refused(name):
    """When the state is made or the step is traced, before anything is computed."""
    wrap, message = REFUSED[name]
    tx = wrap(mezo())
    with pytest.raises((TypeError, ValueError), match=message):
        stepper(tx, by_name)(SINGLE, tx.init(SINGLE))


def test_multi_steps_around_a_method_is_warned_about():
    """It would drop the losses of all calls but the last of k."""
    tx = optax.MultiSteps(mezo(), every_k_schedule=2)
    with pytest.warns(UserWarning, match="MultiSteps .* accumulate"):
        jax.eval_shape(stepper(tx), SINGLE, tx.init(SINGLE))


def test_mechanize_around_a_method_is_warned_about():
    """It learns its scale from the gradients that come in, and with none it stays at 1e-6."""
    tx = optax.contrib.mechanize(mezo())
    with pytest.warns(UserWarning, match="mechanize"):
        jax.eval_shape(stepper(tx), SINGLE, tx.init(SINGLE))


BEFORE = {
    "clip": optax.clip(1.0),
    "add_decayed_weights": optax.add_decayed_weights(0.1),
    "scale_by_adam": optax.scale_by_adam(),
    "apply_every": optax.apply_every(2),
    "freeze": optax.freeze(ALL),
    "another method": mezo(),
}


IGNORED = "links before .* are ignored"


@pytest.mark.parametrize("name", BEFORE)
def test_links_before_an_estimate_are_warned_about(name):
    """In a step that is traced alone: nothing has to be compiled."""
    for tx in (
        optax.chain(BEFORE[name], mezo()),
        optax.chain(optax.chain(BEFORE[name]), estimate(), optax.sgd(0.1)),
    ):
        with pytest.warns(UserWarning, match=IGNORED):
            jax.eval_shape(stepper(tx), SINGLE, tx.init(SINGLE))


def test_links_before_an_estimate_in_a_named_chain_are_warned_about():
    tx = optax.named_chain(("clip", optax.clip(1.0)), ("zo", mezo()))
    with pytest.warns(UserWarning, match=IGNORED):
        jax.eval_shape(stepper(tx), SINGLE, tx.init(SINGLE))


# Behind an estimate each of them works on it as on a gradient.
BEHIND = {
    "MultiSteps": optax.MultiSteps(optax.sgd(0.1), 1).gradient_transformation(),
    "apply_if_finite": optax.apply_if_finite(optax.adam(0.1), 3),
    "conditionally_transform": optax.conditionally_transform(optax.scale(2.0), always),
    "flatten": optax.flatten(optax.adam(0.1)),
    "masked": optax.masked(optax.set_to_zero(), SOME),
    "partition": optax.partition({"a": optax.adam(0.1), "s": optax.sgd(0.1)}, {"b": "a", "w": "s"}),
    "selective_transform": optax.selective_transform(optax.sgd(0.1), freeze_mask=SOME),
    "freeze": optax.freeze(SOME),
    "schedule_free": optax.contrib.schedule_free(optax.sgd(0.1), 0.1),
    "mechanize": optax.contrib.mechanize(optax.sgd(1.0)),
    "sam": plain(optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.2))),
    "split_real_and_imaginary": optax.contrib.split_real_and_imaginary(optax.sgd(0.1)),
    "apply_every": optax.apply_every(2),
    "scale_by_galore": plain(optax.contrib.scale_by_galore(rank=1)),
}


@pytest.mark.parametrize("name", BEHIND)
def test_behind_an_estimate_a_wrapper_may_stand(name):
    """The extra arguments of the estimate disturb none."""
    tx = optax.chain(estimate(), BEHIND[name])
    params, _ = jax.eval_shape(stepper(tx), SINGLE, tx.init(SINGLE))
    chex.assert_trees_all_equal_shapes_and_dtypes(params, SINGLE)


def test_behind_an_estimate_a_wrapper_sees_it_as_a_gradient():
    """Those that do not work around a method, in one step of each."""
    links = {name: BEHIND[name] for name in ("MultiSteps", "flatten", "mechanize", "sam")}

    @jax.jit
    def step():
        first = estimate()
        arguments = {"value_fn": quadratic, "target": 1.0}
        gradient, _ = first.update(None, first.init(SINGLE), SINGLE, **arguments)
        behind, alone = {}, {}
        for name, link in links.items():
            tx = optax.chain(first, link)
            behind[name], _ = tx.update(None, tx.init(SINGLE), SINGLE, **arguments)
            alone[name], _ = link.update(gradient, link.init(SINGLE), SINGLE)
        return behind, alone

    behind, alone = step()
    for name in links:
        chex.assert_trees_all_close(behind[name], alone[name], **CLOSE)
        assert optax.tree.norm(alone[name]) > 0
