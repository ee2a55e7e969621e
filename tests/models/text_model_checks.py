"""What the tests of GPT-2 and the encoders share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from make_stored_text_models import IGNORED_LABEL, PAD, STORED, WITHOUT_TYPES, inputs, labels

import zojax
from zojax.models import from_pretrained

PARITY = {"atol": 1e-4, "rtol": 0}
run = nnx.jit(lambda model, *arguments: (model.features(*arguments), model(*arguments)))
quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def mean_loss(logits, targets, head):
    """Mean cross entropy without the ignored labels; of a language model, of the next tokens."""
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    if head == "language_model":
        logits, targets = logits[:, :-1], targets[:, 1:]
    used = targets != IGNORED_LABEL
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(used, targets, 0))
    return jnp.sum(losses * used) / jnp.sum(used)


def assert_stored_outputs(name):
    """Features and logits of tokens, and the loss, for every padding that transformers can take."""
    model = from_pretrained(STORED / name)
    stored = np.load(STORED / name / "reference.npz")
    types = () if name in WITHOUT_TYPES else (jnp.asarray(stored["types"]),)
    for padding in ("none", "left", "right"):
        if padding == "left" and name == "bert_classifier":
            continue  # transformers would read the first padding
        ids, mask = stored[f"ids_{padding}"], stored[f"mask_{padding}"]
        features, logits = run(model, jnp.asarray(ids), jnp.asarray(mask), *types)
        tokens = mask == 1 if logits.ndim == 3 else ...
        np.testing.assert_allclose(
            features[mask == 1], stored[f"features_{padding}"][mask == 1], **PARITY
        )
        np.testing.assert_allclose(logits[tokens], stored[f"logits_{padding}"][tokens], **PARITY)
        loss = mean_loss(logits, labels(ids, mask, model.head), model.head)
        np.testing.assert_allclose(loss, stored[f"loss_{padding}"], **PARITY)


def assert_padding_changes_nothing(model):
    """Six tokens in three rows, with none, one and three of three paddings before them."""
    tokens = jnp.arange(5, 11)
    widths = [(before, 3 - before) for before in (0, 1, 3)]
    masks = jnp.stack([jnp.pad(jnp.ones(6, jnp.int32), width) for width in widths])
    # Some token as padding, not the one of the config: only the mask says what it is.
    ids = jnp.stack([jnp.pad(tokens, width, constant_values=30) for width in widths])
    _, logits = run(model, ids, masks)
    alone = run(model, tokens[None])[1][0]
    for row, (before, _) in enumerate(widths):
        found = logits[row] if model.head == "classifier" else logits[row, before : before + 6]
        np.testing.assert_allclose(found, alone, atol=1e-5, rtol=0)
    _, logits = run(model, ids, masks.at[1].set(0))
    assert jnp.all(jnp.isfinite(logits))


def equations(build):
    """Equations of the traced program, inner programs included, at some depth."""
    graphdef, params = nnx.split(nnx.eval_shape(build), nnx.Param)
    ids = jnp.full((2, 4), PAD + 4)
    program = jax.make_jaxpr(lambda params: nnx.merge(graphdef, params)(ids))(params)
    return str(program).count(" = ")


SIGNS, FACTORS = zojax.rademacher(), zojax.factored(1)


def assert_lazy_is_materialized(model, samplers=(SIGNS, FACTORS)):
    """For packed signs and factors, without a matrix or table that is drawn as a whole."""
    family = model.config.model_type
    ids, types, masks = inputs(9, family)
    ids, mask = jnp.asarray(ids["left"]), jnp.asarray(masks["left"])
    arguments = (ids, mask) if family in WITHOUT_TYPES else (ids, mask, jnp.asarray(types))
    targets = labels(np.asarray(ids), np.asarray(mask), model.head)
    graphdef, params = nnx.split(model, nnx.Param)

    def loss(params):
        return mean_loss(nnx.merge(graphdef, params)(*arguments), targets, model.head)

    @quickly_compiled
    def both(params):
        found = []
        for sampler in samplers:
            state = sampler.init(params)
            directions = sampler.draw(state, jax.random.key(1), jnp.int32(0), 2, params)[0]
            evaluate = functools.partial(
                zojax.evaluate, loss, params, directions, jnp.array([0.05, -0.05])
            )
            found.append((evaluate(), evaluate(materialize=True)))
        return found

    for lazy, materialized in both(params):
        np.testing.assert_allclose(lazy, materialized, rtol=2e-5)
        assert np.ptp(materialized) > 1e-3
    for sampler in samplers:
        assert [leaf for leaf in zojax.explain(loss, params, sampler) if is_matrix(leaf)] == []


def is_matrix(leaf):
    """Whether what is drawn has more than one axis that is longer than 1."""
    return max(leaf.shape, default=1) < np.prod(leaf.shape)
