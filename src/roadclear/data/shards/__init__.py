"""Shards: sources of photos that are read piece by piece, here or from an object store.

A shard is a tar file, a Parquet file, or some of the files of a folder. A shard is read as a stream of photos, so
memory does not grow with a collection. `opening` finds the shards of a source, and `mapping` turns one shard into one
Parquet file.
"""
