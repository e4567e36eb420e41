"""Features as Parquet shards: `work` computes the rows of a shard, and `cache` gives them to a training.

The columns are those of `roadclear.data.shards.mapping`, and `fingerprint`, `embedding`, and `view_1` to `view_n`.
Features are float32: a training on shards gives the model of a training on the photos, bit for bit.
"""
