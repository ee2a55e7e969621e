"""MeZO-BCD, arXiv:2501.19099: is a step faster, and does it need as many as MeZO?

Claimed: up to 2.77 times faster than MeZO in wall-clock time (OPT-13B, abstract), at comparable
iteration complexity. All weights of the digits ViT, one of six blocks a step.
"""

import functools

import zojax
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.digits import digits
from experiments.papers.names import BASELINE, WHOLE


def experiments() -> list[Experiment]:
    arms = {
        BASELINE: mezo(1e-3),
        "MeZO-BCD": Arm(lambda rate, key, steps: zojax.mezo_bcd(rate, key), 2, 3e-3),
    }
    problem = functools.partial(digits, WHOLE, width=48, depth=4, budget=3600)
    return [Experiment("MeZO-BCD", problem, arms)]
