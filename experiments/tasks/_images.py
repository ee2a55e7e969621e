"""Pictures to classify."""

from experiments.tasks._kinds import Images
from experiments.tasks._sampling import Sampling
from experiments.tasks._task import Digits, Hub, Task

TASKS = {
    "cifar10": Task(Images(10, pixels="img"), Hub("uoft-cs/cifar10", test="test")),
    "cifar100": Task(
        Images(100, pixels="img", label="fine_label"), Hub("uoft-cs/cifar100", test="test")
    ),
    "digits": Task(Images(10), Digits(), Sampling(num_dev=297, num_test=500)),
}
