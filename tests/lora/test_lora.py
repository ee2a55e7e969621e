"""Adapters start as nothing, add s A B, and are all that is trained."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import zojax
from zojax import lora
from zojax.models import from_pretrained

run = nnx.jit(lambda model, ids: model(ids))


class Pair(nnx.Module):
    """Layers that are not stacked: one is used twice, two share their kernel."""

    def __init__(self, rngs):
        self.first = nnx.Linear(4, 5, rngs=rngs)
        self.second = self.first
        self.blocks = nnx.List([nnx.Linear(5, 5, rngs=rngs), nnx.Linear(5, 5, rngs=rngs)])
        self.blocks[1].kernel = self.blocks[0].kernel

    def __call__(self, x):
        return self.blocks[1](self.blocks[0](self.first(x) + self.second(x)))


def adapter_of(model):
    return nnx.to_pure_dict(nnx.state(model, nnx.LoRAParam))


def adapt(model, targets=("q_proj", "v_proj"), *, rank=3, scale=2.0, seed=1, **kwargs):
    key = jax.random.key(seed)
    return lora.adapt(model, targets, rank=rank, scale=scale, key=key, **kwargs)


def loss(adapter, frozen, ids, graphdef):
    logits = nnx.merge(graphdef, adapter, frozen)(ids[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()


def test_an_adapted_model_starts_as_the_model(model, ids):
    np.testing.assert_array_equal(run(adapt(model), ids), run(model, ids), strict=True)


def test_an_adapter_of_bfloat16_weights_starts_as_nothing_too(model, ids):
    graphdef, params = nnx.split(model)
    half = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params))
    changed = adapt(half)
    assert {a.dtype for a in jax.tree.leaves(adapter_of(changed))} == {jnp.dtype(jnp.float32)}
    assert changed.features(ids).dtype == jnp.bfloat16
    np.testing.assert_array_equal(run(changed, ids), run(half, ids), strict=True)


def test_each_target_gets_one_pair_and_a_stack_of_layers_a_stack_of_pairs(model):
    graphdef, adapter, frozen = nnx.split(adapt(model, dtype=jnp.bfloat16), nnx.LoRAParam, ...)
    shapes = jax.tree.map(jnp.shape, nnx.to_pure_dict(adapter))
    pair = {"lora_a": (2, 8, 3), "lora_b": (2, 3, 8)}
    assert shapes == {"layers": {"self_attn": {"q_proj": pair, "v_proj": pair}}}
    assert {leaf.dtype for leaf in jax.tree.leaves(adapter)} == {jnp.dtype(jnp.bfloat16)}
    assert len(jax.tree.leaves(frozen)) == len(jax.tree.leaves(nnx.state(model)))
    assert not jax.tree.leaves(nnx.state(nnx.merge(graphdef, adapter, frozen), nnx.RngState))


def test_weights_are_shared_and_the_model_that_was_given_stays_as_it_was(model):
    changed = adapt(model)
    ours, theirs = (m.layers.self_attn for m in (model, changed))
    assert theirs.q_proj.base_module.kernel[...] is ours.q_proj.kernel[...]
    assert theirs.k_proj.kernel[...] is ours.k_proj.kernel[...]
    assert not jax.tree.leaves(adapter_of(model))
    before = np.asarray(ours.k_proj.bias[...])
    theirs.k_proj.bias[...] += 1
    np.testing.assert_array_equal(ours.k_proj.bias[...], before)


@pytest.mark.parametrize("rank", [1, 16])
def test_the_law_of_a_does_not_depend_on_the_rank(rank):
    """Uniform on (-1/√in, 1/√in): variance 1/(3 in), fourth moment 1/(5 in²)."""
    inputs, outputs = 400, 16
    layer = nnx.Linear(inputs, outputs, rngs=nnx.Rngs(0))
    a = np.float64(adapt(layer, "*", rank=rank).lora_a[...])
    assert np.abs(a).max() <= inputs**-0.5
    variance = 1 / (3 * inputs)
    error = np.sqrt((1 / 5 - 1 / 9) / a.size) / inputs
    np.testing.assert_allclose(np.mean(a**2), variance, atol=5 * error)
    np.testing.assert_allclose(a.mean(), 0, atol=5 * np.sqrt(variance / a.size))


def test_a_of_every_layer_is_drawn_for_itself(model):
    both, one = adapter_of(adapt(model)), adapter_of(adapt(model, "v_proj"))
    q, v = (both["layers"]["self_attn"][name]["lora_a"] for name in ("q_proj", "v_proj"))
    assert not np.isclose(q, v).any()
    assert not np.isclose(q[0], q[1]).any()
    np.testing.assert_array_equal(one["layers"]["self_attn"]["v_proj"]["lora_a"], v)
    other = adapter_of(adapt(model, seed=2))["layers"]["self_attn"]["v_proj"]["lora_a"]
    assert not np.isclose(other, v).any()


def test_an_adapted_layer_adds_the_scaled_sum_of_its_atoms():
    """y = x W + b + s Σ_i (x · a_i) b_i, a_i column i of A and b_i row i of B."""
    rng = np.random.default_rng(0)
    layer = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
    changed = adapt(layer, "*", rank=2, scale=0.7)
    changed.lora_b[...] = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    a, b = np.float64(changed.lora_a[...]), np.float64(changed.lora_b[...])
    atoms = sum(np.outer(x @ a[:, i], b[i]) for i in range(2))
    np.testing.assert_allclose(changed(x), np.float64(layer(x)) + 0.7 * atoms, atol=1e-6)


def test_bfloat16_outputs_are_rounded_once():
    layer = nnx.Linear(4, 5, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    changed = adapt(layer, "*", rank=2)
    changed.lora_b[...] = jnp.full((2, 5), 0.1)
    x = jnp.ones((3, 4), jnp.bfloat16)
    wide = layer(x).astype(jnp.float32) + 2 * (x @ changed.lora_a[...] @ changed.lora_b[...])
    np.testing.assert_array_equal(changed(x), wide.astype(jnp.bfloat16), strict=True)


def test_merging_gives_the_same_function_without_adapters(model, adapted, ids):
    merged = lora.merge(adapted)
    assert nnx.graphdef(merged) == nnx.graphdef(model)
    logits = run(adapted, ids)
    assert np.abs(logits - run(model, ids)).max() > 0.1
    np.testing.assert_allclose(run(merged, ids), logits, atol=1e-6 * np.abs(logits).max(), rtol=0)


def test_merging_adds_the_scaled_product_and_leaves_all_else(adapted):
    before = nnx.to_pure_dict(nnx.state(adapted))
    merged = lora.merge(adapted)
    layer, kernel = adapted.layers.self_attn.q_proj, merged.layers.self_attn.q_proj.kernel[...]
    product = np.float64(layer.lora_a[...]) @ np.float64(layer.lora_b[...])
    expected = np.float64(layer.base_module.kernel[...]) + 2.0 * product
    np.testing.assert_allclose(kernel, expected, atol=1e-6)
    assert merged.layers.fc1.kernel[...] is adapted.layers.fc1.kernel[...]
    merged.layers.fc1.bias[...] += 1
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(nnx.state(adapted)), before)


def test_merging_rounds_once_to_the_dtype_of_the_weights():
    layer = nnx.Linear(4, 5, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    changed = adapt(layer, "*", rank=2, scale=0.3)
    changed.lora_b[...] = jnp.full((2, 5), 0.1)
    product = jnp.matmul(changed.lora_a[...], changed.lora_b[...], precision="highest")
    expected = (layer.kernel[...].astype(jnp.float32) + 0.3 * product).astype(jnp.bfloat16)
    np.testing.assert_array_equal(lora.merge(changed).kernel[...], expected, strict=True)


def test_a_merged_model_goes_through_hugging_face_files(adapted, ids, tmp_path):
    merged = lora.merge(adapted)
    merged.save_pretrained(tmp_path)
    np.testing.assert_array_equal(run(from_pretrained(tmp_path), ids), run(merged, ids))


def test_layers_in_lists_and_layers_used_twice_are_adapted_once():
    pair = Pair(nnx.Rngs(0))
    changed = adapt(pair, ["first", "blocks.1"], rank=2)
    assert changed.first is changed.second
    assert isinstance(changed.blocks[1], lora.LoRALinear)
    assert isinstance(changed.blocks[0], nnx.Linear)
    assert len(jax.tree.leaves(adapter_of(changed))) == 4
    x = jnp.ones((2, 4))
    np.testing.assert_array_equal(changed(x), pair(x))
    changed.first.lora_b[...] = changed.blocks[1].lora_b[...] = jnp.ones((2, 5))
    merged = lora.merge(changed)
    assert merged.first is merged.second
    np.testing.assert_array_equal(merged.blocks[0].kernel[...], pair.blocks[0].kernel[...])
    np.testing.assert_allclose(merged(x), changed(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("fc1", {"fc1"}),
        (["fc?"], {"fc1", "fc2"}),
        (["self_attn.*"], {"q_proj", "k_proj", "v_proj", "out_proj"}),
        (["layers.self_attn.q_proj", "[kv]_proj"], {"q_proj", "k_proj", "v_proj"}),
        (iter(["q_proj"]), {"q_proj"}),
    ],
)
def test_targets_are_ends_of_paths_with_wildcards(model, targets, expected):
    state = nnx.state(adapt(model, targets), nnx.LoRAParam)
    assert {path[-2] for path, _ in nnx.to_flat_state(state)} == expected


def test_the_scales():
    """α/r, and α at every rank; a file then holds lora_alpha = scale · rank = α and α r."""
    assert lora.canonical_scale(16, 8) == 2.0
    assert [lora.canonical_scale(2, rank) for rank in (1, 4)] == [2.0, 0.5]
    assert lora.ar1_scale(2) == 2.0


@pytest.mark.parametrize("sampler", ["gaussian", "rademacher", "factored"])
def test_lazily_perturbed_adapters_give_the_losses_of_materialized_ones(adapted, ids, sampler):
    sampler = zojax.factored(2) if sampler == "factored" else getattr(zojax, sampler)()
    graphdef, adapter, frozen = nnx.split(adapted, nnx.LoRAParam, ...)
    data = {"frozen": frozen, "ids": ids, "graphdef": graphdef}

    @jax.jit
    def losses(adapter, key):
        directions, _ = sampler.draw(sampler.init(adapter), key, jnp.array(0), 2, adapter)
        f = functools.partial(loss, **data)
        points = jnp.array([0.3, -0.3])
        lazy = zojax.evaluate(f, adapter, directions, points)
        return lazy, zojax.evaluate(f, adapter, directions, points, materialize=True)

    lazy, dense = losses(adapter, jax.random.key(3))
    assert len(np.unique(dense)) == 4
    np.testing.assert_allclose(lazy, dense, rtol=1e-5)


def test_mezo_trains_the_adapter_alone_and_its_buffers_are_donated(model, ids):
    graphdef, adapter, frozen = nnx.split(adapt(model), nnx.LoRAParam, ...)
    value_fn = functools.partial(loss, graphdef=graphdef)
    tx = zojax.mezo(1e-1, jax.random.key(5), radius=1e-2, num_queries=4)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(adapter, state, frozen, ids):
        updates, state = tx.update(None, state, adapter, value_fn=value_fn, frozen=frozen, ids=ids)
        return optax.apply_updates(adapter, updates), state

    before, value = jax.tree.map(np.asarray, frozen), jax.jit(value_fn)
    first, start = value(adapter, frozen, ids), jax.tree.leaves(adapter)
    state = jax.jit(tx.init)(adapter)
    for _ in range(60):
        adapter, state = step(adapter, state, frozen, ids)
    assert value(adapter, frozen, ids) < 0.8 * first
    assert all(leaf.is_deleted() for leaf in start)
    jax.tree.map(np.testing.assert_array_equal, frozen, before)
    trained = nnx.merge(graphdef, adapter, frozen)
    np.testing.assert_allclose(run(lora.merge(trained), ids), run(trained, ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": "q_porj"}, "target 'q_porj' matches no linear .* layers.self_attn.q_proj, "),
        ({"targets": ["fc1", "attn.q_proj"]}, "'attn.q_proj' matches .* layers.self_attn.q_proj, "),
        ({"targets": []}, r'targets is empty; .*\("q_proj", "v_proj"\)'),
        ({"rank": 9}, "rank 9 is above .* 8 x 8 of layers.self_attn.q_proj; choose at most 8"),
        ({"rank": 0}, "rank must be an integer of at least 1, got 0"),
        ({"rank": 2.0}, "rank must be an integer of at least 1, got 2.0"),
        ({"scale": 0.0}, "scale must be a finite number above 0, got 0.0"),
        ({"scale": float("nan")}, "scale must be a finite number above 0, got nan"),
        ({"dtype": jnp.int32}, "dtype must be a floating dtype"),
    ],
)
def test_bad_arguments_are_named(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        adapt(model, **arguments)


def test_bad_models_are_named(model, adapted):
    with pytest.raises(ValueError, match=r"already has adapters, .*q_proj.lora_a; .*lora.merge"):
        adapt(adapted, "fc1")
    with pytest.raises(ValueError, match=r"OPT has no adapters; .*lora.adapt"):
        lora.merge(model)
    with pytest.raises(ValueError, match=r"'fc1' matches .* has no nnx.Linear"):
        adapt(nnx.LayerNorm(4, rngs=nnx.Rngs(0)), "fc1")
    with pytest.raises(TypeError, match="key must be a typed key"):
        lora.adapt(model, "fc1", rank=1, scale=1.0, key=jnp.zeros(2, jnp.uint32))
    with pytest.raises(ValueError, match="alpha must be a finite number above 0, got 0"):
        lora.ar1_scale(0)
    with pytest.raises(ValueError, match="rank must be a finite number above 0, got 0"):
        lora.canonical_scale(16, 0)


def test_a_kernel_that_is_read_past_its_adapter_is_refused(model):
    changed = adapt(model)
    with pytest.raises(AttributeError, match="has to be called"):
        _ = changed.layers.self_attn.q_proj.kernel
