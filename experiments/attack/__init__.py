"""A black-box attack on a classifier of digits: pixels are moved by what the classifier says."""
