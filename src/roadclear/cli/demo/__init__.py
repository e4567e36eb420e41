"""The demonstration: the whole way from drawn photos to a report, step by step, offline."""
