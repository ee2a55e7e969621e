"""One of two processes that find each other as those of a SLURM job."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from experiments._groups import groups
from experiments._layout import Layout, local
from experiments._processes import Processes, agree, ending_at_once, failing_together, is_first
from zojax.training import check_replicas, make_step, make_steps


def read(index):
    with failing_together():
        if jax.process_index() == index:
            raise OSError(f"process {index} cannot read")


def check_words():
    assert (jax.process_count(), jax.device_count()) == (2, 4)
    assert is_first() == (jax.process_index() == 0)
    assert agree(5 + jax.process_index()) == 5
    with failing_together():
        pass
    for index in range(2):
        with pytest.raises(ValueError, match=f"^process {index} cannot read$"):
            read(index)


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["labels"]) ** 2)


def check_training():
    """Five updates in one call, over rows of all processes, are those of one device."""
    with pytest.raises(ValueError, match="batch_size 6 cannot be shared out evenly among 4 dev"):
        Layout(batch_size=6)
    layout = Layout(batch_size=8)
    x = np.random.default_rng(0).normal(size=(5, 8, 3)).astype(np.float32)
    batches = [{"x": rows, "labels": rows.sum(1)} for rows in x]
    tx = zojax.mezo(1e-2, jax.random.key(0), radius=1e-2)
    params = {"w": jnp.zeros(3)}

    ours = layout.replicate({"w": jnp.zeros(3)})
    state = jax.jit(tx.init, out_shardings=layout.replicated)(ours)
    mine = [{name: layout.own(array) for name, array in batch.items()} for batch in batches]
    (group,) = groups(mine, 5, start=0, stops=lambda step: step == 5, put=layout.assemble)
    assert group.batch["x"].shape == (5, 8, 3)
    assert group.batch["x"].addressable_shards[0].data.shape == (5, 2, 3)
    ours, _, measured = make_steps(tx, loss)(ours, state, {"batch": group.batch})
    assert ours["w"].sharding == layout.replicated  # what check_replicas looks for

    alone, state, step, values = params, tx.init(params), make_step(tx, loss), []
    for batch in batches:
        alone, state, found = step(alone, state, batch=batch)
        values.append(found["value"])
    np.testing.assert_allclose(measured["value"], values, rtol=1e-5)
    np.testing.assert_allclose(local(ours)["w"], alone["w"], rtol=1e-4)
    rows = jax.jit(lambda x: x, out_shardings=layout.replicated)(layout.share(batches[0]))
    jax.tree.map(np.testing.assert_array_equal, rows, batches[0])  # in their order


def check_divergence():
    layout = Layout(batch_size=4)
    numbers = np.linspace(0, 1, 1000, dtype=np.float32)
    key = layout.replicate(jax.random.key(3))
    check_replicas({"key": key, "w": layout.replicate(jnp.asarray(numbers))})
    if jax.process_index() == 1:
        numbers.view(np.uint32)[617] ^= 1  # the least bit of one of them
    different = {"key": key, "w": layout.replicate(jnp.asarray(numbers))}
    message = (
        r"no longer train the same model: \['w'\] on device \d+ of process 1, "
        r"device \d+ of process 1\. Start again"
    )
    with pytest.raises(RuntimeError, match=message):
        check_replicas(different)


def fail():
    """Process 1, while process 0 waits for its part of a sum."""
    rows = Layout(batch_size=2).assemble(np.ones(1))
    total = jax.jit(jnp.sum)
    assert float(total(rows)) == 2
    if not is_first():
        raise KeyError("lost")
    jax.block_until_ready(total(rows))


if __name__ == "__main__":
    with ending_at_once():
        Processes(distributed=True).join()
        if "fail" in sys.argv:
            fail()
        check_words()
        check_training()
        check_divergence()
        print(f"process {jax.process_index()} of {jax.process_count()}: fine")
