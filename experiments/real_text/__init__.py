"""Pretrained models and labelled texts from packages of the Python registry, and runs on them."""
