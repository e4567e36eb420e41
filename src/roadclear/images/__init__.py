"""Images: bytes become pixels.

Its job: decode within limits, augment, hash, and make thumbnails. Every file is treated as hostile.
It may import utils.
It must not know labels, datasets, embeddings or models.
A photo is an array uint8 [height, width, 3], RGB, upright.
"""
