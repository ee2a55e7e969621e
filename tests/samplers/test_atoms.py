"""What is an atom of an adapter, and what is no adapter."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import zojax
from zojax import lora

# Two layers of other ranks, and a stack of three.
ADAPTER = {
    "k": {"lora_a": jnp.zeros((4, 2)), "lora_b": jnp.zeros((2, 5))},
    "v": {"lora_a": jnp.zeros((4, 3)), "lora_b": jnp.zeros((3, 5))},
}
STACK = {"q": {"lora_a": jnp.zeros((3, 4, 2)), "lora_b": jnp.zeros((3, 2, 5))}}


def labels(params, **options):
    return jax.tree.leaves(zojax.atom_labels(**options)(params))


def test_all_layers_share_the_index():
    """Column of A and row of B; of a stack, in all of its layers."""
    column, row = zojax.Slices("atoms", (1,)), zojax.Slices("atoms", (0,))
    assert labels(ADAPTER) == [column, row, column, row]
    assert labels(STACK) == [zojax.Slices("atoms", (2,)), zojax.Slices("atoms", (1,))]


def test_one_layer_at_a_time():
    k, v, q = (("atoms", name) for name in "kvq")
    expected = [(k, (1,)), (k, (0,)), (v, (1,)), (v, (0,))]
    assert labels(ADAPTER, layers="one") == [zojax.Slices(*pair) for pair in expected]
    assert labels(STACK, layers="one") == [zojax.Slices(q, (0, 2)), zojax.Slices(q, (0, 1))]


def test_flax_holds_the_factors_in_variables(key):
    """Its own LoRA and ours have other paths than a plain tree, and the same labels."""
    linear = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
    ours = lora.adapt(nnx.Sequential(linear), "*", rank=2, scale=1.0, key=key)
    for model in (ours, nnx.LoRA(4, 2, 5, rngs=nnx.Rngs(0))):
        adapter = nnx.split(model, nnx.LoRAParam, ...)[1]
        assert [label.axes for label in labels(adapter)] == [(1,), (0,)]
        assert len({label.name for label in labels(adapter, layers="one")}) == 1


def test_other_names_need_a_function():
    """Here those of PEFT, whose matrices are transposed."""

    def atoms(path, leaf):
        return 0 if "lora_A" in jax.tree_util.keystr(path) else 1

    factors = {"lora_A": jnp.zeros((2, 4)), "lora_B": jnp.zeros((5, 2))}
    found = labels(factors, atoms=atoms)
    assert found == [zojax.Slices("atoms", (0,)), zojax.Slices("atoms", (1,))]


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        ({"w": jnp.zeros((2, 3))}, {}, r"params\['w'\] of shape \(2, 3\) is no factor .*LoRAParam"),
        ({"lora_a": jnp.zeros(3)}, {}, r"params\['lora_a'\] of shape \(3,\) is no factor"),
        (jnp.zeros((2, 3)), {}, r"params of shape \(2, 3\) is no factor"),
        ({}, {}, r"params have no leaves.*zojax.lora.adapt"),
        (
            ADAPTER,
            {"atoms": lambda path, leaf: 2},
            r"atoms gave axis 2 for params\['k'\]\['lora_a'",
        ),
        (ADAPTER, {"atoms": lambda path, leaf: 0}, r"below k count \(4,\) and \(2,\) atoms"),
    ],
    ids=["no factor", "a vector", "no name", "nothing", "no axis", "halves that do not match"],
)
def test_what_is_no_adapter_is_refused(params, options, message):
    with pytest.raises(ValueError, match=message):
        labels(params, **options)


def test_other_choices_of_layers_are_refused():
    with pytest.raises(ValueError, match="layers must be one of all, one, got 'some'"):
        zojax.atom_labels(layers="some")
