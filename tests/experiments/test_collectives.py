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


SPREAD = """HloModule jit_step

%start.1 (w.1: bf16[16,64]) -> (bf16[16,128]) {
  %all.1 = bf16[16,128] all-gather(%w.1), channel_id=4, dimensions={1}
  ROOT %it.1 = (bf16[16,128]) custom-call(%all.1), custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (w.2: bf16[16,64]) -> (f32[8], bf16[16,128]) {
  %all.2 = bf16[16,128] all-gather(%w.2), channel_id=4, dimensions={1}
}

%done.1 (w.3: bf16[16,64]) -> bf16[16,128] {
  %all.3 = bf16[16,128] all-gather(%w.3), channel_id=4, dimensions={1}
  ROOT %end.1 = bf16[16,128] custom-call(%all.3), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main.1 (w.4: bf16[16,64]) -> bf16[16,128] {
  %one.1 = (bf16[16,128]) fusion(%w.4), kind=kCustom, calls=%start.1
  %two.1 = (f32[8], bf16[16,128]) fusion(%one.1), kind=kCustom, calls=%async_collective_fusion.1
  %four.1 = f32[8] all-reduce(%two.1), channel_id=5, to_apply=%add.1
  ROOT %three.1 = bf16[16,128] fusion(%two.1), kind=kCustom, calls=%done.1
}

%add.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  ROOT %sum.1 = f32[] add(%a.1, %b.1)
}
"""


def test_what_is_sent_beside_other_work_counts_once():
    """As the TPU's compiler writes it: begun in one fusion, continued and ended in others."""
    assert sorted(collectives(Program(SPREAD))) == [
        Collective("all-gather", 4096, 1),
        Collective("all-reduce", 32, 1),
    ]
