"""Two-class photo classification from little data, from folders of photos to one deployable file."""
