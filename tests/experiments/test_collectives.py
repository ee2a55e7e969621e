"""What is read of collectives from the text of compiled programs."""

from typing import NamedTuple

import pytest

from experiments.benchmarks._collectives import Collective, collectives, total_bytes

# As the compilers of CPUs and TPUs write a loop that sends 16 bytes 40 times, and 4 KiB once.
PROGRAM = """HloModule jit_step

%body.1 (p.1: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p.1 = (s32[]{:T(128)}, f32[4]{0:T(128)}) parameter(0)
  %x.1 = f32[4]{0:T(128)} get-tuple-element(%p.1), index=1
  ROOT %sent.1 = f32[4]{0:T(128)} all-reduce(%x.1), to_apply=%add.1
}

%condition.1 (p.2: (s32[], f32[4])) -> pred[] {
  %limit.1 = s32[]{:T(128)} constant(40)
  %p.2 = (s32[]{:T(128)}, f32[4]{0:T(128)}) parameter(0)
  ROOT %less.1 = pred[]{:T(512)} compare(%p.2, %limit.1), direction=LT
}

%add.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  ROOT %sum.1 = f32[] add(%a.1, %b.1)
}

ENTRY %main.1 (w.1: bf16[16,64]) -> f32[4] {
  %all.1 = bf16[16,128]{1,0:T(8,128)(2,1)} all-gather(%w.1), dimensions={1}
  %loop.1 = (s32[], f32[4]{0:T(128)}) while(%t.1), condition=%condition.1, body=%body.1KNOWN
}
"""


class Program(NamedTuple):
    text: str

    def as_text(self) -> str:
        return self.text


@pytest.mark.parametrize(
    "known", ["", ', backend_config={"known_trip_count":{"n":"40"}}'], ids=["TPU", "CPU"]
)
def test_what_a_loop_sends_counts_as_often_as_it_runs(known):
    program = Program(PROGRAM.replace("KNOWN", known))
    assert sorted(collectives(program)) == [
        Collective("all-gather", 4096, 1),
        Collective("all-reduce", 16, 40),
    ]
    assert total_bytes(program) == 4096 + 40 * 16


def test_a_loop_that_nobody_counts_counts_once():
    """Its condition has no number, or several."""
    program = Program(PROGRAM.replace("KNOWN", "").replace("constant(40)", "parameter(1)"))
    assert total_bytes(program) == 4096 + 16
