"""Seed logs: what was written comes back, and nothing else ever does."""

import struct

import numpy as np
import pytest

from zojax.training import Mark, SeedLog, read_seed_log

HEADER = {"num_losses": 2, "method": "mezo"}
LOSSES = np.array([[0.5, 0.25], [np.nan, 1e30], [-0.0, np.inf], [1.5, 1.25]], np.float32)
RECORD = 21  # bytes: kind, step, 12 for losses or a mark, checksum


def write(path, losses=LOSSES, header=HEADER):
    """Four steps, with marks of the second and the last."""
    with SeedLog(path, header) as log:
        log.append(losses[:2])
        log.mark(0.75, 7)
        log.append(losses[2:])
        log.mark(np.nan, 2**32 - 1)
        log.sync()
        assert log.step == 4
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.bin"


@pytest.fixture
def data(path):
    return write(path)


def assert_bits(losses, expected):
    assert losses.dtype == np.float32
    assert losses.tobytes() == expected.tobytes()


def begin_of_records(data):
    return len(data) - 6 * RECORD


def test_what_was_written_comes_back_bit_by_bit(path, data):
    header, losses, marks = read_seed_log(path)
    assert header == HEADER
    assert_bits(losses, LOSSES)
    assert set(marks) == {2, 4}
    assert marks[2] == Mark(2, 0.75, 7)
    assert np.isnan(marks[4].loss)
    assert marks[4].fingerprint == 2**32 - 1


def test_the_file_is_what_the_format_says(path, data):
    """Read by struct alone."""
    assert data[:8] == b"zojaxlog"
    assert struct.unpack_from("<II", data, 8) == (1, len(data) - 6 * RECORD - 4 - 16)
    kind, step, first, second = struct.unpack_from("<cIff", data, begin_of_records(data))
    assert (kind, step, first, second) == (b"s", 1, 0.5, 0.25)
    kind, step, loss, bits = struct.unpack_from("<cIdI", data, begin_of_records(data) + 2 * RECORD)
    assert (kind, step, loss, bits) == (b"m", 2, 0.75, 7)


@pytest.mark.parametrize("num_losses", [1, 3, 11])
def test_steps_of_any_number_of_losses(path, num_losses):
    losses = np.random.default_rng(0).normal(size=(5, num_losses)).astype(np.float32)
    write(path, losses[:4], {"num_losses": num_losses})
    with SeedLog.resume(path, 4) as log:
        log.append(losses[4:])
    assert_bits(read_seed_log(path).losses, losses)
    with SeedLog.resume(path, 5) as log, pytest.raises(ValueError, match="float32 losses; got"):
        log.append(losses[:, :0])


@pytest.mark.parametrize("damage", [0x01, 0x20, 0xFF])
def test_a_flipped_byte_anywhere_is_found_and_placed(path, data, damage):
    """At its offset, or that of the header or record that it is in."""
    begin = begin_of_records(data)
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ damage]) + data[place + 1 :])
        with pytest.raises(ValueError, match="byte") as error:
            read_seed_log(path)
        said = str(error.value)
        if place < 8:
            assert "damaged at byte 0" in said
        elif place < 12:
            assert "at byte 8" in said
            assert "of version" in said
        elif place < begin:
            assert "the header, bytes 0 to" in said
        else:
            record = (place - begin) // RECORD
            assert f"damaged at byte {begin + record * RECORD}:" in said
            steps = (0, 1, 2, 2, 3, 4)[record]
            assert f"Steps up to {steps} are whole" in said
            assert_bits(read_seed_log(path, stop=steps).losses, LOSSES[:steps])


def test_a_log_cut_off_anywhere_gives_whole_steps_or_nothing(path, data):
    begin = begin_of_records(data)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if length < begin:
            with pytest.raises(ValueError, match="damaged"):
                read_seed_log(path)
            continue
        records, rest = divmod(length - begin, RECORD)
        steps = (0, 1, 2, 2, 3, 4)[records]
        if rest:
            with pytest.warns(UserWarning, match=f"byte {length - rest} with {rest} bytes"):
                contents = read_seed_log(path)
        else:
            contents = read_seed_log(path)
        assert_bits(contents.losses, LOSSES[:steps])


def test_records_that_are_moved_left_out_or_of_another_log_are_found(tmp_path, path, data):
    begin = begin_of_records(data)
    records = [data[place : place + RECORD] for place in range(begin, len(data), RECORD)]
    other = write(tmp_path / "other.bin", header=HEADER | {"method": "loren"})
    for changed in (
        [records[1], records[0], *records[2:]],
        [records[0], *records[2:]],
        [records[0], records[0], *records[1:]],
        [other[-6 * RECORD : -5 * RECORD], *records[1:]],
    ):
        path.write_bytes(data[:begin] + b"".join(changed))
        with pytest.raises(ValueError, match=f"damaged at byte ({begin}|{begin + RECORD}):"):
            read_seed_log(path)


def test_what_lies_behind_the_step_that_is_asked_for_is_not_looked_at(path, data):
    path.write_bytes(data[: -2 * RECORD] + bytes(2 * RECORD))
    with pytest.raises(ValueError, match="Steps up to 3 are whole"):
        read_seed_log(path)
    contents = read_seed_log(path, stop=2)
    assert_bits(contents.losses, LOSSES[:2])
    assert set(contents.marks) == {2}
    assert_bits(read_seed_log(path, stop=3).losses, LOSSES[:3])


def test_a_log_goes_on_where_the_run_does_with_the_bytes_of_one_that_never_stopped(path, data):
    for torn in (0, 1, RECORD - 1, 2 * RECORD + 5):
        path.write_bytes(data[: len(data) - torn])
        with SeedLog.resume(path, 2) as log:
            assert (log.header, log.step) == (HEADER, 2)
            assert len(path.read_bytes()) == len(data) - 3 * RECORD
            log.append(LOSSES[2:])
            log.mark(np.nan, 2**32 - 1)
        assert path.read_bytes() == data


def test_a_log_that_lacks_steps_or_is_damaged_does_not_go_on(path, data):
    with pytest.raises(ValueError, match="ends with step 4, before step 5"):
        SeedLog.resume(path, 5)
    flipped = begin_of_records(data) + 3
    path.write_bytes(data[:flipped] + b"!" + data[flipped + 1 :])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="damaged"):
        SeedLog.resume(path, 2)
    assert path.read_bytes() == before


def test_what_is_no_log_is_refused(path):
    for content in (b"", b"zojax", b"PK\3\4" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="does not begin as a seed log does"):
            read_seed_log(path)
    with pytest.raises(FileNotFoundError):
        read_seed_log(path.with_name("none.bin"))
