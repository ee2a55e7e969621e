"""How many classes a `config.json` asks for, and what they are called."""

import pytest
import transformers

from zojax.models import BERTConfig, LlamaConfig

THREE = {"0": "no", "1": "maybe", "2": "yes"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_labels": 5},
        {"num_labels": 1},
        {"num_labels": None},
        {"id2label": None},
        {"id2label": None, "num_labels": 5},
        {"id2label": THREE},
        {"id2label": THREE, "num_labels": 3},
        {"id2label": dict(reversed(THREE.items()))},
        {"id2label": {str(i): f"class {i}" for i in range(12)}},
    ],
)
def test_labels_are_those_of_transformers(settings):
    given = {
        name: value for name, value in settings.items() if (name, value) != ("num_labels", None)
    }
    theirs = transformers.BertConfig(**given)
    expected = tuple(theirs.id2label[label] for label in range(theirs.num_labels))
    assert BERTConfig.from_dict(settings).labels == expected
    assert LlamaConfig.from_dict(settings).labels == expected


def test_the_names_count_where_the_number_disagrees():
    with pytest.warns(UserWarning, match="num_labels is 2, but id2label names 3 classes"):
        config = BERTConfig.from_dict({"num_labels": 2, "id2label": THREE})
    assert config.labels == ("no", "maybe", "yes")


def test_a_setting_called_labels_is_not_ours():
    assert BERTConfig.from_dict({"labels": ["a", "b", "c"]}).labels == ("LABEL_0", "LABEL_1")
