"""Calls of the library with arguments that make no sense."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import zojax
from tests.bad_inputs.case import BadInput
from zojax import lora, models, prefix
from zojax.models import BERTConfig, LlamaConfig, OPTConfig

KEY = jax.random.key(0)
PARAMS = {"w": jnp.ones(3)}


def loss(params):
    return jnp.sum(params["w"] ** 2)


def _call(name, call, message):
    return BadInput(f"call: {name}", lambda folder: call, message)


def _method(message, method=zojax.mezo, learning_rate=1e-3, key=KEY, **arguments):
    said = ", ".join(
        f"{name}={getattr(value, '__name__', value)!r}" for name, value in arguments.items()
    )
    name = f"{method.__name__}({learning_rate!r}, {type(key).__name__} {said})"
    return _call(name, lambda: method(learning_rate, key, **arguments), message)


def _step(name, message, params=PARAMS, value_fn=loss, **extra):
    """The first update of MeZO."""

    def call():
        tx = zojax.mezo(1e-3, KEY)
        tx.update(None, tx.init(params), params, value_fn=value_fn, **extra)

    return _call(name, call, message)


def _layer():
    return nnx.Linear(4, 4, rngs=nnx.Rngs(0))


CASES = [
    _method("learning_rate must be a finite number .* got nan", learning_rate=float("nan")),
    _method("learning_rate must be a finite number .* got '1e-3'", learning_rate="1e-3"),
    _method("learning_rate must be a finite number .* got None", learning_rate=None),
    _method("key .*typed", key=0),
    _method("key .*typed", key=np.zeros(2, np.uint32)),
    _method("radius must be a finite number above 0, got 0", radius=0),
    _method("radius must be a finite number above 0, got inf", radius=float("inf")),
    _method("radius must be a finite number above 0, got '1'", radius="1"),
    _method("num_queries must be an integer of at least 1, got 0", num_queries=0),
    _method("num_queries must be an integer of at least 1, got 1.5", num_queries=1.5),
    _method("num_queries must be an integer of at least 1, got True", num_queries=True),
    _method("weight_decay must be a finite number of at least 0, got -1", weight_decay=-1),
    _method("accumulate must be an integer of at least 1, got 0", accumulate=0),
    _method("chunk_size must be an integer of at least 1, got 0", chunk_size=0),
    _method("sampler must be of the class Sampler, such as .* got 'gaussian'", sampler="gaussian"),
    _method("sampler must be of the class Sampler, .* was not called", sampler=zojax.rademacher),
    _method("sampler must be .* got None", method=zojax.mezo_bcd, sampler=None),
    _method("axes must be of the class Axes, such as .* got 'data'", axes="data"),
    _method("amsgrad must be True or False, got 'yes'", method=zojax.zo_adamm, amsgrad="yes"),
    _method("antithetic must be True or False, got 1", method=zojax.zoar, antithetic=1),
    _method(
        "rule must be of the class GradientTransformation, .* got .x.", method=zojax.zoar, rule="x"
    ),
    _method("b1 must be .* got 1.0", method=zojax.mezo_adam, b1=1.0),
    _method("rank must be an integer of at least 1, got 0", method=zojax.zo_muon, rank=0),
    _call("gaussian(bits=7)", lambda: zojax.gaussian(bits=7), "bits must be one of .*, got 7"),
    _call("factored(rank=0)", lambda: zojax.factored(0), "rank must be .* at least 1, got 0"),
    _call("coordinate(zigzag)", lambda: zojax.coordinate("zigzag"), "must be one of .*'zigzag'"),
    _call(
        "moving_average(0.9)", lambda: zojax.moving_average(0.9, 3), "estimator must be .* got 0.9"
    ),
    _call("skip_nonfinite(None)", lambda: zojax.skip_nonfinite(None), "inner must be .* got None"),
    _step("params without arrays", "params have no arrays, got {}", params={}),
    _step("integer params", r"params\['w'\] is int32, but only", params={"w": jnp.ones(3, int)}),
    _step("a list of texts", r"params\[0\] is str", params=["w"]),
    _step("no value_fn", "needs `value_fn`", value_fn=None),
    _step("a loss of two numbers", "value_fn must return one", value_fn=lambda p: p["w"][:2]),
    _step("a loss of a tuple", "pass has_aux=True", value_fn=lambda p: (loss(p), 0)),
    _step(
        "a loss of a text",
        "of type .*str.* not a valid JAX",
        value_fn=lambda p: "low",
    ),
    _step("params with holes", "params have holes", params={"w": optax.MaskedNode(), "v": 1.0}),
    _call("OPTConfig(hidden_size='8')", lambda: OPTConfig(hidden_size="8"), "hidden_size must"),
    _call("OPTConfig(labels=())", lambda: OPTConfig(labels=()), "labels must name at least one"),
    _call("OPTConfig(labels='ab')", lambda: OPTConfig(labels="ab"), "labels must be a list"),
    _call("BERTConfig(vocab_size=0)", lambda: BERTConfig(vocab_size=0), "vocab_size must be"),
    _call("LlamaConfig(head_dim=3)", lambda: LlamaConfig(head_dim=3), "head_dim = 3 must be even"),
    _call("from_pretrained('a/b/c')", lambda: models.from_pretrained("a/b/c"), "'a/b/c' is not a"),
    _call("from_pretrained('')", lambda: models.from_pretrained("/no/such"), "'/no/such' is not a"),
    _call(
        "lora.adapt(rank=0)",
        lambda: lora.adapt(_layer(), "*", rank=0, scale=1.0, key=KEY),
        "rank must be .* got 0",
    ),
    _call(
        "lora.adapt of no layer",
        lambda: lora.adapt(_layer(), ("q_proj",), rank=1, scale=1.0, key=KEY),
        "q_proj",
    ),
    _call(
        "lora.adapt(scale=nan)",
        lambda: lora.adapt(_layer(), "*", rank=1, scale=float("nan"), key=KEY),
        "scale must be .* got nan",
    ),
    _call("prefix.adapt of a layer", lambda: prefix.adapt(_layer(), length=1, key=KEY), "Linear"),
    _call(
        "prefix.load_peft of a layer",
        lambda: prefix.load_peft(_layer(), "nowhere"),
        "Linear",
    ),
]
