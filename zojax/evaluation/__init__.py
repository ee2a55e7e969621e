"""What is measured: the loss at perturbed params."""

from zojax.evaluation._evaluate import evaluate as evaluate
from zojax.evaluation._explain import DrawnLeaf as DrawnLeaf
from zojax.evaluation._explain import explain as explain
from zojax.evaluation._inputs import loss_and_inputs as loss_and_inputs
from zojax.evaluation._met import Summaries as Summaries
from zojax.evaluation._met import Summarize as Summarize
