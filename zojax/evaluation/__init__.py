"""What is measured: the loss at perturbed params."""

from zojax.evaluation._evaluate import evaluate as evaluate
from zojax.evaluation._explain import DrawnLeaf as DrawnLeaf
from zojax.evaluation._explain import explain as explain
