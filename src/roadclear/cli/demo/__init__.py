"""The demonstration: every step from drawn photos to a report, offline."""
