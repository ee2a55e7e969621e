"""Flips bits of replicas on four devices; see test_divergence.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from zojax.training import check_replicas


@functools.cache
def mesh():
    return jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def placed(array, spec, flip=None):
    """An array over the mesh; `flip`, (device, byte, bit), changes a bit of the part there."""
    sharding = NamedSharding(mesh(), spec)
    parts = []
    for number, (device, index) in enumerate(sharding.devices_indices_map(array.shape).items()):
        part = np.array(array[index])
        if flip is not None and flip[0] == number:
            part.reshape(-1).view(np.uint8)[flip[1]] ^= 1 << flip[2]
        parts.append(jax.device_put(part, device))
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)


def test_every_bit_of_every_byte(dtype, spec):
    array = np.arange(24).astype(dtype).reshape(4, 6)
    others = {"fine": placed(np.ones(3, np.float32), P())}
    check_replicas({"x": placed(array, spec), **others})
    part = placed(array, spec).addressable_shards[0].data
    devices = mesh().devices.ravel()
    for byte in range(0, part.nbytes, 5):
        for bit in range(8):
            number = (byte + bit) % 4
            tree = {"x": placed(array, spec, (number, byte, bit)), **others}
            with pytest.raises(
                RuntimeError, match=r"train the same model: \['x'\] on device "
            ) as e:
                check_replicas(tree)
            assert "fine" not in str(e.value)
            if spec == P():  # three against one; else one against one
                assert f"['x'] on device {devices[number].id} of process 0." in str(e.value)


def test_exchanged_numbers_are_seen():
    array = np.arange(24, dtype=np.float32)
    parts = [jax.device_put(array if i else array[::-1], d) for i, d in enumerate(jax.devices())]
    sharding = NamedSharding(mesh(), P())
    with pytest.raises(RuntimeError, match="on device 0 of process 0"):
        check_replicas(jax.make_array_from_single_device_arrays((24,), sharding, parts))


def test_what_has_one_copy_is_left_out():
    check_replicas({"alone": jnp.ones(3), "sharded": placed(np.ones((4, 4)), P("data", "model"))})
    keys = [jax.device_put(jax.random.key(i > 0), d) for i, d in enumerate(jax.devices())]
    key = jax.make_array_from_single_device_arrays((), NamedSharding(mesh(), P()), keys)
    with pytest.raises(RuntimeError, match="on device 0 of process 0"):
        check_replicas({"key": key})


if __name__ == "__main__":
    for dtype in (np.float32, jnp.bfloat16, np.int8):
        test_every_bit_of_every_byte(dtype, P())
    test_every_bit_of_every_byte(np.float32, P("model"))
    test_exchanged_numbers_are_seen()
    test_what_has_one_copy_is_left_out()
