"""A small decoder that has learned to write expressions, and is often wrong: where rewards begin.

It is a Llama of 0.6 million weights that reads characters, trained briefly with AdamW on solutions
of puzzles that are in no split (see `experiments.tasks._countdown`).
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from experiments import tasks
from zojax.models import Llama, LlamaConfig

_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
_PAD, _START, _END = 0, 1, 2
_CHARACTERS = "0123456789+-*.:makeinwrog"
LENGTH = 40
_STEPS_A_CALL = 50
CONFIG = {
    "vocab_size": len(_SPECIAL) + len(_CHARACTERS),
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.05,
    "tie_word_embeddings": True,
    "bos_token_id": _START,
    "eos_token_id": _END,
    "pad_token_id": _PAD,
}


def prepare(folder: Path, steps: int) -> Path:
    """Writes the folder of the model, unless it is there, and returns it.

    Args:
      folder: made if missing.
      steps: updates, of 64 puzzles each.
    """
    if not (folder / "config.json").exists():
        tokenizer = make_tokenizer()
        model = pretrain(tokenizer, steps)
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def make_tokenizer():
    """A token for each character; spaces are left out."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast  # importing it takes seconds

    vocabulary = {token: place for place, token in enumerate((*_SPECIAL, *_CHARACTERS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex("."), "isolated"),
        ]
    )
    words.decoder = decoders.Fuse()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", _START)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def pretrain(tokenizer, steps: int, batch_size: int = 64) -> Llama:
    """Trains a new model on the next token of solutions; a minute or two on two cores."""
    task = tasks.find_task("countdown")
    shown = [task.example(row).candidates[0] for row in tasks.countdown_puzzles()["shown"]]
    rows = _rows(tokenizer, shown)
    graphdef, params = nnx.split(Llama(LlamaConfig(**CONFIG), rngs=nnx.Rngs(0)), nnx.Param)
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 2e-3, 50, steps), weight_decay=0.1),
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

    generator = np.random.default_rng(0)
    for start in range(0, steps, _STEPS_A_CALL):
        chosen = generator.integers(0, len(rows), (min(_STEPS_A_CALL, steps - start), batch_size))
        params, state, value = run(params, state, rows[chosen])
        print(f"pretraining: step {start + len(chosen)}/{steps}, loss {value:.4f}", flush=True)
    return nnx.merge(graphdef, params)


def _rows(tokenizer, texts: list[str]) -> np.ndarray:
    """Tokens, padded on the right, (texts, LENGTH) int32."""
    rows = np.full((len(texts), LENGTH), _PAD, np.int32)
    for row, ids in zip(rows, tokenizer(texts)["input_ids"], strict=True):
        row[: len(ids)] = ids
    return rows


def _loss(params: nnx.State, graphdef: nnx.GraphDef, input_ids: jax.Array) -> jax.Array:
    inputs, targets = input_ids[:, :-1], input_ids[:, 1:]
    logits = nnx.merge(graphdef, params)(inputs, (inputs != _PAD).astype(jnp.int32))
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.mean(losses, where=targets != _PAD)
