"""What is measured: the loss at perturbed params."""

from zojax.evaluation._evaluate import evaluate as evaluate
