"""Makes the shipped default: reviews, tokenizer and pretrained OPT checkpoint, all synthetic."""
