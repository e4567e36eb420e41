"""Decision: the rules by which a model answers, all set on photos outside the training."""
