"""Decision: the rules by which a model answers, all set on the validation photos."""
