"""Experiments with zojax: the main job (`finetune`), and one question a file beside it."""
