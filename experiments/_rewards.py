"""Rewards of generated texts as what is minimized: minus their mean.

    value_fn(model, batch) = - (1/B) Σ_b reward(prompt_b, text_b, answers_b)

The model writes the likeliest text for each prompt of a batch, and a function of yours scores it:

    def reward(prompts: list[str], completions: list[str], answers: list[list[str]]) -> list[float]

`--objective reward:MODULE:FUNCTION` names it. It runs on the host, once for all points that are
evaluated side by side. A method needs nothing else of a model: no gradient, no log probabilities.
It takes one device: a program over several that waits for the host can wait for ever.
Who has a reward that JAX can compute writes it into a `value_fn` of their own, and stays on the
device (`tasks.f1_loss` is one).

Evolution strategies are trained so in Qiu et al., "Evolution Strategies at Scale: LLM Fine-Tuning
Beyond Reinforcement Learning", arXiv:2509.24372, and Sarkar et al., "Evolution Strategies at the
Hyperscale" (EGGROLL), arXiv:2511.16652.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import tasks
from experiments._evaluation import make_writer

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

PREFIX = "reward:"
Reward = Callable[[list[str], list[str], list[list[str]]], Sequence[float]]
_Batch = Mapping[str, jax.Array]


def load_reward(objective: str) -> Reward:
    """Returns the function that "reward:MODULE:FUNCTION" names.

    Raises:
      ValueError: if there is no such module or function, or the name has another form.
    """
    module, _, name = objective.removeprefix(PREFIX).partition(":")
    if not module or not name:
        raise ValueError(f"objective {objective!r} must be reward:MODULE:FUNCTION")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"objective {objective!r} names no function that can be imported ({error}); the module "
            "must lie in the working folder or be installed"
        ) from None
    if not callable(function):
        raise ValueError(f"objective {objective!r} names something that cannot be called")
    return function


def reward_objective(
    reward: Reward, kind: tasks.Generation, tokenizer: "PreTrainedTokenizerBase"
) -> Callable[[Any, _Batch], jax.Array]:
    """Returns the `value_fn(model, batch)` above, shape (), float32.

    Args:
      reward: of texts.
      kind: of the task, which says when a text ends.
      tokenizer: between tokens and texts.
    """
    write = make_writer(kind, tokenizer)

    def judge(tokens, input_ids, attention_mask, answer_ids) -> np.ndarray:
        shape = tokens.shape[:-1]
        tokens, input_ids, mask = (
            np.asarray(array).reshape(-1, array.shape[-1])
            for array in (tokens, input_ids, attention_mask)
        )
        answers = np.asarray(answer_ids).reshape(-1, *answer_ids.shape[-2:])
        prompts = [_text(tokenizer, ids[kept]) for ids, kept in zip(input_ids, mask, strict=True)]
        texts = [kind.answer(_text(tokenizer, ids)) for ids in tokens]
        right = [[_text(tokenizer, ids[ids >= 0]) for ids in row if ids[0] >= 0] for row in answers]
        return _checked(reward(prompts, texts, right), len(texts)).reshape(shape)

    def value_fn(model: Any, batch: _Batch) -> jax.Array:
        tokens = write(model, batch)
        rewards = jax.pure_callback(
            judge,
            jax.ShapeDtypeStruct(tokens.shape[:1], jnp.float32),
            *(tokens, batch["input_ids"], batch["attention_mask"], batch["answer_ids"]),
            vmap_method="broadcast_all",
        )
        return -rewards.mean()

    return value_fn


def _text(tokenizer: "PreTrainedTokenizerBase", ids: np.ndarray) -> str:
    return tokenizer.decode(ids, skip_special_tokens=True).strip()


def _checked(rewards: Sequence[float], count: int) -> np.ndarray:
    array = np.asarray(rewards, np.float32)
    if array.shape != (count,):
        raise ValueError(
            f"the reward function returned an array of shape {array.shape} for {count} texts; it "
            "must return a number for each"
        )
    return array
