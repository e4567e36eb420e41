"""Data: a labelled folder becomes photos with groups, splits and folds.

Its job: find photos and labels, in folders and in shards, find near-duplicates, and keep what belongs together on one
side of every split.
It may import images and utils.
It must not know how embeddings are computed (they are handed to this room as arrays), nor anything of models.
Folders are the truth: a photo's label is the name of its folder.
"""
