"""What is read of memory traffic from the text of a compiled program."""

from typing import NamedTuple

from experiments.benchmarks._bytes import bytes_accessed

# As a TPU's compiler writes it. A loop of 3 rounds reads a part of w (256 bytes of 1024) and what
# lies beside the units (S(1)), and writes 16; then 1024 bytes are copied to there, and a fusion
# writes a part of 64 bytes into an array of 4096.
PROGRAM = """HloModule jit_step

%sliced (p0: bf16[512], p1: s32[], p2: f32[64]) -> f32[4] {
  %p0 = bf16[512]{0:T(512)} parameter(0)
  %p1 = s32[]{:T(128)} parameter(1)
  %p2 = f32[64]{0:T(128)S(1)} parameter(2)
  %part = bf16[128]{0:T(128)} dynamic-slice(%p0, %p1), dynamic_slice_sizes={128}
  ROOT %made = f32[4]{0:T(128)} add(%part, %p2)
}

%updated (q0: f32[1024], q1: f32[16], q2: s32[]) -> f32[1024] {
  %q0 = f32[1024]{0:T(1024)} parameter(0)
  %q1 = f32[16]{0:T(128)} parameter(1)
  %q2 = s32[]{:T(128)} parameter(2)
  ROOT %written = f32[1024]{0:T(1024)} dynamic-update-slice(%q0, %q1, %q2)
}

%body (p: (s32[], bf16[512], f32[64], f32[4])) -> (s32[], bf16[512], f32[64], f32[4]) {
  %p = (s32[], bf16[512], f32[64]{0:S(1)}, f32[4]) parameter(0)
  %i = s32[]{:S(2)} get-tuple-element(%p), index=0
  %w = bf16[512]{0} get-tuple-element(%p), index=1
  %v = f32[64]{0:S(1)} get-tuple-element(%p), index=2
  %x = f32[4]{0:T(128)} fusion(%w, %i, %v), kind=kLoop, calls=%sliced
  ROOT %t = (s32[], bf16[512], f32[64]{0:S(1)}, f32[4]) tuple(%i, %w, %v, %x)
}

%condition (c: (s32[], bf16[512], f32[64], f32[4])) -> pred[] {
  %c = (s32[], bf16[512], f32[64]{0:S(1)}, f32[4]) parameter(0)
  %j = s32[]{:S(2)} get-tuple-element(%c), index=0
  %limit = s32[]{:S(2)} constant(3)
  ROOT %less = pred[]{:S(2)} compare(%j, %limit), direction=LT
}

ENTRY %main (a: bf16[512], b: f32[1024], d: f32[16], e: s32[]) -> f32[1024] {
  %a = bf16[512]{0} parameter(0)
  %b = f32[1024]{0} parameter(1)
  %d = f32[16]{0:S(1)} parameter(2)
  %e = s32[]{:S(2)} parameter(3)
  %begun = (bf16[512]{0:S(1)}, bf16[512]{0}, u32[]{:S(2)}) copy-start(%a)
  %ended = bf16[512]{0:S(1)} copy-done(%begun)
  %loop = (s32[], bf16[512], f32[64]{0:S(1)}, f32[4]) while(%t0), condition=%condition, body=%body
  ROOT %r = f32[1024]{0} fusion(%b, %d, %e), kind=kLoop, calls=%updated
}
"""


class Program(NamedTuple):
    text: str

    def as_text(self) -> str:
        return self.text


def test_loops_parts_and_what_lies_beside_the_units_are_told_apart():
    assert bytes_accessed(Program(PROGRAM)) == 3 * (256 + 16) + 1024 + 64
