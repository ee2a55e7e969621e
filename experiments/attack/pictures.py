"""Pictures of attacks: the original, the adversarial image, and what was added."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Picture(NamedTuple):
    """One attack that succeeded.

    Attributes:
      original: (8, 8), in [0, 1].
      adversarial: (8, 8), the same.
      label: of the original.
      said: what the classifier says of the adversarial image.
      queries: that it took.
    """

    original: np.ndarray
    adversarial: np.ndarray
    label: int
    said: int
    queries: int


def draw(pictures: Sequence[Picture], epsilon: float, path: Path) -> None:
    """Writes a PNG with a column for each attack."""
    figure = Figure(figsize=(1.3 * len(pictures), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(3, len(pictures), squeeze=False)
    for column, picture in zip(panels.T, pictures, strict=True):
        difference = picture.adversarial - picture.original
        column[0].imshow(picture.original, cmap="gray", vmin=0, vmax=1)
        column[0].set_title(f"a {picture.label}", fontsize=9)
        column[1].imshow(picture.adversarial, cmap="gray", vmin=0, vmax=1)
        column[1].set_title(f"seen as {picture.said}", fontsize=9)
        column[2].imshow(difference, cmap="RdBu", vmin=-epsilon, vmax=epsilon)
        column[2].set_title(f"{picture.queries} queries", fontsize=9)
    for panel in panels.flat:
        panel.set_xticks([])
        panel.set_yticks([])
    for panel, name in zip(panels[:, 0], ("original", "adversarial", "difference"), strict=True):
        panel.set_ylabel(name, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})
