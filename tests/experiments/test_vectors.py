"""The width of vectors that the experiments ask XLA for."""

import os
import subprocess
import sys

import pytest

from experiments._vectors import use_wide_vectors

WIDTH = "--xla_cpu_prefer_vector_width"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{WIDTH}=512"),
        ("--xla_cpu_multi_thread_eigen=false", f"--xla_cpu_multi_thread_eigen=false {WIDTH}=512"),
        (f"{WIDTH}=256", f"{WIDTH}=256"),
    ],
)
def test_width_is_added_to_what_is_asked_for(monkeypatch, before, after):
    monkeypatch.setenv("XLA_FLAGS", before)
    use_wide_vectors()
    use_wide_vectors()
    assert os.environ["XLA_FLAGS"] == after


DRAW = """
import sys
from experiments._vectors import use_wide_vectors
if sys.argv[1] == "wide":
    use_wide_vectors()
import jax, zojax
key, params = jax.random.key(0), {"w": jax.numpy.zeros((64, 96))}
sampler = zojax.gaussian()
draw = jax.jit(lambda key: sampler.draw((), key, 0, 1, params)[0])
one = jax.tree.map(lambda array: array[0], draw(key))
z = jax.jit(lambda one: zojax.materialize(one, params))(one)["w"]
print(z.tobytes().hex())
"""


def test_xla_hears_of_it_and_draws_the_same_numbers(tmp_path):
    drawn, asked = {}, {}
    for how in ("wide", "default"):
        folder = tmp_path / how
        flags = f"{os.environ['XLA_FLAGS']} --xla_dump_to={folder}"
        env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        run = subprocess.run(
            [sys.executable, "-c", DRAW, how], env=env, capture_output=True, text=True, check=True
        )
        drawn[how] = run.stdout
        options = next(folder.glob("*.debug_options")).read_text()
        asked[how] = "xla_cpu_prefer_vector_width: 512" in options
    assert asked == {"wide": True, "default": False}
    assert drawn["wide"] == drawn["default"]
