"""How near to plain batched generation does a population of perturbed models come?

    python -m experiments.benchmarks.generation

A decoder writes `new_tokens` tokens for each of `prompts` prompts, once as each of `queries` models
perturbed along factored directions of rank 1, all side by side, and once as the plain model on as
many copies of the prompts. Both write as many tokens; throughput = plain / perturbed, the aim is
0.9. The products with the base weights are shared: a step of the cache multiplies one matrix with
the rows of all models. Peak memory is that of the one compiled program over that of the other, the
aim 1.1.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from flax import nnx

import zojax
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import RADIUS, compiled
from zojax.models import OPT, OPTConfig, generate
from zojax.training import median_seconds, peak_bytes

COLUMNS = (
    *("queries", "prompts", "plain tokens/s", "perturbed tokens/s", "throughput"),
    "peak / plain",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of generation."""

    layers: int = 12
    width: int = 512
    vocabulary: int = 4096
    length: int = 32
    """Tokens of a prompt."""
    new_tokens: int = 32
    prompts: int = 4
    """For each model of the population."""
    queries: tuple[int, ...] = (1, 8, 32)
    """Models side by side."""
    repetitions: int = 3


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/generation.jsonl and returns its rows."""
    report = Report("generation", COLUMNS, settings)
    for queries in settings.queries:
        report.row(queries, settings.prompts, *_measure(queries, settings))
    return report.finish()


def _measure(queries: int, settings: Settings) -> tuple[float, float, float, float]:
    config = OPTConfig(
        vocab_size=settings.vocabulary,
        hidden_size=settings.width,
        ffn_dim=4 * settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.width // 64,
        max_position_embeddings=settings.length + settings.new_tokens,
    )
    graphdef, params = nnx.split(OPT(config, rngs=nnx.Rngs(0)), nnx.Param)
    shape = (settings.prompts, settings.length)
    prompts = jax.random.randint(jax.random.key(1), shape, 4, settings.vocabulary)
    key = jax.random.key(0)
    sampler = zojax.factored(1)

    def write(params: Any, prompts: jax.Array) -> jax.Array:
        # Without a stop: all programs write equally many tokens.
        model = nnx.merge(graphdef, params)
        return generate(model, prompts, max_new_tokens=settings.new_tokens, stop=())

    def population(params: Any, prompts: jax.Array) -> jax.Array:
        directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), queries, params)

        def value_fn(params: Any) -> tuple[jax.Array, jax.Array]:
            return jnp.float32(0), write(params, prompts)

        _, tokens = zojax.evaluate(
            value_fn, params, directions, RADIUS, chunk_size=queries, has_aux=True
        )
        return tokens

    repeated = jnp.tile(prompts, (queries, 1))
    plain, _ = compiled(write, params, repeated)
    perturbed, _ = compiled(population, params, prompts)
    seconds = median_seconds(
        {"plain": lambda: plain(params, repeated), "perturbed": lambda: perturbed(params, prompts)},
        repetitions=settings.repetitions,
    )
    tokens = queries * settings.prompts * settings.new_tokens
    rates = [tokens / seconds[name] for name in ("plain", "perturbed")]
    return *rates, rates[1] / rates[0], peak_bytes(perturbed) / peak_bytes(plain)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
