"""Features: a photo becomes an embedding or an activation map.

Its job: read weights and build the graph (`backbone`), run it (`engine`), keep results (`cache`, `shards`), and do so
for many photos (`extractor`). It may import data, images and utils.
It must not know labels, groups, heads or collections: a feature depends on photo, weights and settings alone.
A cached feature is found by the photo's SHA-256, so that moving or relabelling a photo costs nothing.
"""
