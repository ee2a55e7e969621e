"""How much more memory than inference does a MeZO step take on models that nobody here wrote?

    python -m tests.wild                          all models under all laws
    python -m tests.wild nano Qwen3               those with such a word in their name
    python -m tests.wild --layers 16 --width 512

Prints peak / inference, both as `zojax.training.peak_bytes` counts a compiled program. A star marks
what is above its bound (tests/wild/wild_checks.py has them). Nothing is run.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, as pytest sees them

from wild_checks import BOUNDS, LAWS, inference_bytes, step_bytes
from wild_model import PROVING, Size
from wild_models import MODELS


def main() -> None:
    """Prints a row as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="of the names of models; none: all")
    for name, value in PROVING._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)
    settings = vars(parser.parse_args())
    words = settings.pop("words")
    warnings.simplefilter("ignore", DeprecationWarning)
    size = Size(**settings)
    print(size)
    print(f"| model | inference, MB | {' | '.join(LAWS)} | seconds |")
    print("|---" * (len(LAWS) + 3) + "|", flush=True)
    for name in MODELS:
        if not words or any(word in name for word in words):
            print(_row(name, size), flush=True)


def _row(name: str, size: Size) -> str:
    start = time.perf_counter()
    try:
        model = MODELS[name](size)
    except ImportError as error:
        return f"| {name} | not installed: {error} |"
    inference = inference_bytes(model)
    cells = [f"{inference / 2**20:.1f}"]
    for law, bound in BOUNDS.items():
        ratio = step_bytes(model, law) / inference
        cells.append(f"{ratio:.3f}{'*' if ratio > bound else ''}")
    seconds = time.perf_counter() - start
    return f"| {name} | {' | '.join(cells)} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
