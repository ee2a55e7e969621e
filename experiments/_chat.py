"""A decoder that continues what is typed."""

import dataclasses

import jax
import numpy as np
from flax import nnx

from experiments import tasks
from experiments._model_and_task import ModelAndTask
from experiments.tasks._padding import pad, padded_length
from zojax import models

# Any task for a language model: it is asked nothing.
_LANGUAGE_MODEL = tasks.Task(tasks.Generation("{text}{option}"))


@dataclasses.dataclass(frozen=True)
class Sampled:
    """How tokens are chosen."""

    max_new_tokens: int = 64
    """Tokens that an answer may have."""
    temperature: float = 0.0
    """0: the likeliest token; above: drawn, the more evenly the larger this is."""
    top_p: float = 1.0
    """Draw from the fewest tokens whose probabilities reach this."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1; got {self.max_new_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be at least 0 and finite; got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1; got {self.top_p}")


class Chat:
    """Turns of a talk. Without a chat template of the model each line stands for itself.

    Args:
      what: of which the model is used.
      sampled: how tokens are chosen.

    Raises:
      ValueError: if the model cannot be read, or leaves no room for an answer.
    """

    def __init__(self, what: ModelAndTask, sampled: Sampled):
        model, self._tokenizer, max_length = what.load(_LANGUAGE_MODEL)
        self._longest = max_length - sampled.max_new_tokens
        if self._longest < 1:
            raise ValueError(
                f"max_new_tokens {sampled.max_new_tokens} leaves no room for a prompt: sequences "
                f"may have {max_length} tokens; lower it"
            )
        graphdef, self._weights = nnx.split(model)
        self._turns: list[dict[str, str]] = []
        draws = (
            {}
            if not sampled.temperature
            else {"temperature": sampled.temperature, "top_p": sampled.top_p}
        )
        self._key = jax.random.key(sampled.seed)
        self._count = 0

        def write(weights, ids, mask, key):
            return models.generate(
                nnx.merge(graphdef, weights),
                ids,
                mask,
                max_new_tokens=sampled.max_new_tokens,
                stop=self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.eos_token_id,
                key=key if draws else None,
                **draws,
            )

        self._write = jax.jit(write)

    def answer(self, line: str) -> str:
        """What the model says to a line, the last of the talk so far."""
        ids = np.asarray(self._tokens(line)[-self._longest :], np.int32)
        length = padded_length(len(ids), self._longest)
        key = jax.random.fold_in(self._key, self._count)
        self._count += 1
        (tokens,) = self._write(self._weights, *pad([ids], length, left=True), key)
        text = self._tokenizer.decode(np.asarray(tokens), skip_special_tokens=True)
        self._turns.append({"role": "assistant", "content": text})
        return text

    def _tokens(self, line: str) -> list[int]:
        self._turns.append({"role": "user", "content": line})
        if self._tokenizer.chat_template is None:
            return self._tokenizer(line)["input_ids"]
        return self._tokenizer.apply_chat_template(
            self._turns, add_generation_prompt=True, return_dict=False
        )
