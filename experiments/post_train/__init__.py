"""Post-training of a small decoder by rewards of what it writes."""
