"""`zojax.explain` names every leaf that is drawn as a whole, and no other."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import zojax

PARAMS = {
    "bias": jnp.ones(40),
    "embed": jnp.ones((50, 30)),
    "half": jnp.ones((30, 30), jnp.bfloat16),
    "kernel": jnp.ones((30, 40)),
}


def loss(params):
    x = params["embed"][jnp.arange(4)] @ params["kernel"] + params["bias"]
    total = jnp.sum(jnp.sort(params["kernel"], axis=0))  # the sort
    return total + jnp.sum(jnp.flip(params["half"], 0).astype(jnp.float32)) + jnp.sum(x)


def line_of(words):
    lines, first = inspect.getsourcelines(loss)
    return first + next(place for place, line in enumerate(lines) if words in line)


def test_leaves_primitives_lines_and_bytes():
    found = {leaf.path: leaf for leaf in zojax.explain(loss, PARAMS)}
    assert set(found) == {"['bias']", "['half']", "['kernel']"}
    kernel = found["['kernel']"]
    assert (kernel.primitive, kernel.shape, kernel.num_bytes) == ("sort", (30, 40), 4800)
    assert kernel.where == f"{__file__}:{line_of('the sort')} (loss)"
    half = found["['half']"]
    assert (half.primitive, half.dtype, half.num_bytes) == ("rev", np.dtype("bfloat16"), 1800)
    assert (found["['bias']"].primitive, found["['bias']"].num_bytes) == ("add", 160)


def test_the_largest_comes_first_and_prints_as_a_line():
    found = zojax.explain(loss, PARAMS)
    assert [leaf.num_bytes for leaf in found] == [4800, 1800, 160]
    assert str(found[0]).strip().startswith("4,800 bytes  ['kernel'] float32[30,40] by sort at ")


def test_shapes_are_enough():
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), PARAMS)
    assert zojax.explain(loss, shapes) == zojax.explain(loss, PARAMS)


def test_what_a_loop_carries_and_what_is_returned_is_named():
    def loss(params):
        def body(carry, _):
            return carry @ params["w"], None

        carry, _ = jax.lax.scan(body, params["w"], length=2)
        return jnp.sum(carry), params["w"]

    found = zojax.explain(loss, {"w": jnp.ones((3, 3))}, has_aux=True)
    assert sorted(leaf.primitive for leaf in found) == ["returned", "scan"]
    assert {leaf.path for leaf in found} == {"['w']"}


def test_a_module_of_flax_draws_vectors_alone():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(8, 32, rngs=rngs), nnx.LayerNorm(32, rngs=rngs))
    graphdef, params = nnx.split(model, nnx.Param)
    found = zojax.explain(lambda p: jnp.sum(nnx.merge(graphdef, p)(jnp.ones((2, 8)))), params)
    assert found
    assert all(max(leaf.shape) == np.prod(leaf.shape) for leaf in found)
