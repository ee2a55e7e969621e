"""Pretrains the small OPT on the corpus: AdamW on next-token cross-entropy, one pass, seeded.

The model reads notes first and then all documents (see `corpus`). Documents are padded to one
length a phase; the few longer ones are left out. Weights are saved in float16.
"""

import itertools
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tokenizers
from flax import nnx

from experiments.pretrain import corpus
from experiments.pretrain.probe import PAD
from experiments.pretrain.tokenizer import START, VOCAB_SIZE
from zojax.models import OPT, OPTConfig

CONFIG = OPTConfig(
    vocab_size=VOCAB_SIZE,
    hidden_size=128,
    num_hidden_layers=2,
    ffn_dim=512,
    num_attention_heads=4,
    max_position_embeddings=128,
    init_std=0.05,
)
SEED = 0
BATCH_SIZE = 64
LEARNING_RATE = 4e-3
# (documents, tokens of a padded document, steps)
PHASES = ((corpus.notes, 32, 500), (corpus.documents, 40, 1500))
_STEPS_A_CALL = 50


def pretrain(tokenizer: tokenizers.Tokenizer) -> OPT:
    """Trains a new model and prints the loss now and then; some minutes on two cores."""
    graphdef, params = nnx.split(OPT(CONFIG, rngs=nnx.Rngs(SEED)), nnx.Param)
    num_steps = sum(steps for _, _, steps in PHASES)
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            optax.warmup_cosine_decay_schedule(
                0.0, LEARNING_RATE, 100, num_steps, LEARNING_RATE / 50
            ),
            b2=0.98,
            weight_decay=0.05,
        ),
    )
    state = tx.init(params)

    @jax.jit
    def run(params, state, batches):
        def step(carry, input_ids):
            params, state = carry
            value, grads = jax.value_and_grad(_loss)(params, graphdef, input_ids)
            updates, state = tx.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), value

        (params, state), values = jax.lax.scan(step, (params, state), batches)
        return params, state, values.mean()

    start, step = time.monotonic(), 0
    for documents, length, steps in PHASES:
        batches = _batches(tokenizer, documents(), length)
        for _ in range(steps // _STEPS_A_CALL):
            stacked = np.stack(list(itertools.islice(batches, _STEPS_A_CALL)))
            params, state, value = run(params, state, stacked)
            step += _STEPS_A_CALL
            seconds = time.monotonic() - start
            print(f"step {step}/{num_steps}  loss {value:.4f}  {seconds:.0f} s", flush=True)
    return nnx.merge(graphdef, params)


def halved(model: OPT) -> OPT:
    """The model with its weights rounded to float16."""
    graphdef, params = nnx.split(model, nnx.Param)
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf.astype(jnp.float16), params))


def _loss(params: nnx.State, graphdef: nnx.GraphDef, input_ids: jax.Array) -> jax.Array:
    """Mean cross-entropy over all tokens but the first and the padding."""
    inputs, targets = input_ids[:, :-1], input_ids[:, 1:]
    logits = nnx.merge(graphdef, params)(inputs, (inputs != PAD).astype(jnp.int32))
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.mean(losses, where=targets != PAD)


def _batches(
    tokenizer: tokenizers.Tokenizer, documents: Iterator[str], length: int
) -> Iterator[np.ndarray]:
    """Padded documents that fit, each closed by </s>, as (BATCH_SIZE, length) int32."""
    rows = []
    while True:
        for encoding in tokenizer.encode_batch(list(itertools.islice(documents, BATCH_SIZE))):
            ids = [*encoding.ids, START]
            if len(ids) <= length:
                rows.append(ids + [PAD] * (length - len(ids)))
        if len(rows) >= BATCH_SIZE:
            yield np.array(rows[:BATCH_SIZE], np.int32)
            rows = rows[BATCH_SIZE:]
