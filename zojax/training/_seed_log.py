"""Seed logs: a run as the losses of its steps, a few tens of bytes each.

Directions follow from a key, so the params of every step follow from those at the start and the
losses in between (`zojax.Recorded`, `zojax.training.make_replay`). The file, little-endian:

    header   b"zojaxlog", version (uint32), length of the JSON (uint32), the JSON, checksum
    record   kind (1 byte), step (uint32), payload (max(4 n, 12) bytes), checksum
    record   ...

The JSON is an object with `num_losses`, n, and whatever else says what the log belongs to. Of kind
b"s" is a step: its payload are the n losses of the call that made it, float32, as `last_losses` in
the state of `zojax.estimate_gradient` has them. Of kind b"m" is a mark of the params after a step:
the payload is a loss by which steps are compared (float64) and a fingerprint of the params
(uint32). Steps follow each other from 1; a mark follows the step that it is of. With n = 2 a step
takes 21 bytes.

A checksum (uint32) is the CRC-32 of its header or record, continued from the checksum before: a
record that was changed, moved, left out or taken from another log is found. CRC-32 finds every
change of up to 32 bits in a row.
"""

import json
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VERSION = 1
_MAGIC = b"zojaxlog"
_START = struct.Struct("<8sII")
_RECORD = struct.Struct("<cI")
_MARK = struct.Struct("<dI")
_CHECKSUM = struct.Struct("<I")
_STEP_KIND, _MARK_KIND = b"s", b"m"


class Mark(NamedTuple):
    """What a log says of the params after a step.

    Attributes:
      step: which one.
      loss: by which steps are compared, the smaller the better; nan if there was none.
      fingerprint: 32 bits that tell these params from others, as the writer makes them.
    """

    step: int
    loss: float
    fingerprint: int


class SeedLogContents(NamedTuple):
    """What was read of a log.

    Attributes:
      header: its JSON.
      losses: of the steps 1, 2, ..., shape (steps, n), float32.
      marks: by step.
    """

    header: dict[str, Any]
    losses: np.ndarray
    marks: dict[int, Mark]


class SeedLog:
    """Writes a log; lines up behind what is there, and never writes a step twice.

    What is appended is with the operating system when a method returns, and on disk after `sync`.

    Args:
      path: the file; one that is there is overwritten.
      header: what the log belongs to, for JSON; `num_losses`, n, is needed.

    Attributes:
      header: what the log belongs to.
      step: the last one in the log.
    """

    def __init__(self, path: str | Path, header: dict[str, Any]):
        text = json.dumps(header).encode()
        start = _START.pack(_MAGIC, VERSION, len(text)) + text
        self._open(Path(path), "wb", header, 0, zlib.crc32(start))
        self._file.write(start + _CHECKSUM.pack(self._checksum))
        self._file.flush()

    @classmethod
    def resume(cls, path: str | Path, step: int) -> "SeedLog":
        """The log of a run that goes on behind a step; what it holds of later ones is dropped.

        Raises:
          OSError: if there is no such file.
          ValueError: if it does not hold all steps up to there, undamaged.
        """
        reader = _Reader(path)
        contents = reader.read(step)
        if len(contents.losses) < step:
            raise ValueError(
                f"{path} ends with step {len(contents.losses)}, before step {step}, at which the "
                "run goes on: it cannot be continued"
            )
        log = cls.__new__(cls)
        log._open(Path(path), "r+b", contents.header, step, reader.checksum)
        log._file.truncate(reader.offset)
        log._file.seek(reader.offset)
        return log

    def append(self, losses: np.ndarray) -> None:
        """Adds the steps behind the last one.

        Args:
          losses: one row a step, (steps, n), float32.

        Raises:
          ValueError: for losses of another width or dtype.
        """
        if losses.dtype != np.float32 or losses.ndim != 2 or losses.shape[1] != self._num_losses:
            raise ValueError(
                f"a step of this log has {self._num_losses} float32 losses; got {losses.dtype} of "
                f"shape {losses.shape}"
            )
        for row in losses.astype("<f4"):
            self.step += 1
            self._write(_STEP_KIND, row.tobytes())
        self._file.flush()

    def mark(self, loss: float, fingerprint: int) -> None:
        """Says of the params after the last step how good they are, and what their bits are."""
        self._write(_MARK_KIND, _MARK.pack(loss, fingerprint))
        self._file.flush()

    def sync(self) -> None:
        """Waits until all is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "SeedLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(
        self, path: Path, mode: str, header: dict[str, Any], step: int, checksum: int
    ) -> None:
        self._file = path.open(mode)
        self.header, self.step, self._checksum = header, step, checksum
        self._num_losses = header["num_losses"]

    def _write(self, kind: bytes, payload: bytes) -> None:
        body = _RECORD.pack(kind, self.step) + payload.ljust(_payload_size(self._num_losses), b"\0")
        self._checksum = zlib.crc32(body, self._checksum)
        self._file.write(body + _CHECKSUM.pack(self._checksum))


def read_seed_log(path: str | Path, *, stop: int | None = None) -> SeedLogContents:
    """Reads a log, and checks every byte that it reads.

    A last record that was cut off, by a process or machine that went down, is left out with a
    warning.

    Args:
      path: the file.
      stop: the last step that is asked for; what comes behind it and its mark is left alone,
        damaged or not. None: all of them.

    Raises:
      OSError: if there is no such file.
      ValueError: for what is no log, a log of another version, or one that is damaged: with the
        offset of the header or record whose bytes are not those that were written, and the last
        step before it.
    """
    reader = _Reader(path)
    contents = reader.read(stop)
    if reader.num_torn and len(contents.losses) != stop:
        warnings.warn(
            f"{path} ends at byte {reader.offset} with {reader.num_torn} bytes of a record that "
            f"was cut off, which are left out; steps up to {len(contents.losses)} are whole",
            stacklevel=2,
        )
    return contents


class _Reader:
    """Goes through a log; knows where it is, the checksum up to there, and what is torn there."""

    def __init__(self, path: str | Path):
        self._path, self._data, self.num_torn = path, Path(path).read_bytes(), 0
        self.header = self._read_header()

    def _read_header(self) -> dict[str, Any]:
        data = self._data
        if not data.startswith(_MAGIC) or len(data) < _START.size:
            raise ValueError(
                f"{self._path} does not begin as a seed log does: it is none, or damaged at byte 0"
            )
        _, version, length = _START.unpack_from(data)
        end = _START.size + length
        if version != VERSION:
            raise ValueError(
                f"{self._path} says at byte {len(_MAGIC)} that it is a seed log of version "
                f"{version}, but this zojax reads version {VERSION}; read it with the zojax that "
                "wrote it"
            )
        self.checksum, self.offset = zlib.crc32(data[:end]), end + _CHECKSUM.size
        if len(data) < self.offset or _CHECKSUM.unpack_from(data, end) != (self.checksum,):
            raise ValueError(
                f"{self._path} is damaged: the header, bytes 0 to {min(self.offset, len(data))}, "
                "is not what was written, and nothing can be made of the log without it"
            )
        return json.loads(data[_START.size : end])

    def read(self, stop: int | None) -> SeedLogContents:
        """The records up to a step and its marks, or all."""
        num_losses, step = self.header["num_losses"], 0
        size = _payload_size(num_losses)
        length = _RECORD.size + size + _CHECKSUM.size
        losses, marks = bytearray(), {}
        while self.offset + length <= len(self._data):
            body = self._data[self.offset : self.offset + length - _CHECKSUM.size]
            kind, number = _RECORD.unpack_from(body)
            checksum = zlib.crc32(body, self.checksum)
            is_whole = _CHECKSUM.unpack_from(self._data, self.offset + len(body)) == (checksum,)
            if step == stop and not (is_whole and kind == _MARK_KIND):
                break
            if not is_whole:
                raise ValueError(
                    f"{self._path} is damaged at byte {self.offset}: the record behind step {step} "
                    f"is not what was written. Steps up to {step} are whole"
                )
            if kind == _STEP_KIND:
                step = number
                losses += body[_RECORD.size :][: 4 * num_losses]
            else:
                marks[number] = Mark(number, *_MARK.unpack_from(body, _RECORD.size))
            self.checksum, self.offset = checksum, self.offset + length
        else:
            self.num_torn = len(self._data) - self.offset
        rows = np.frombuffer(bytes(losses), "<f4").astype(np.float32)
        return SeedLogContents(self.header, rows.reshape(step, num_losses), marks)


def _payload_size(num_losses: int) -> int:
    """The same for steps and marks, so that no damage makes one look like a part of another."""
    return max(4 * num_losses, _MARK.size)
