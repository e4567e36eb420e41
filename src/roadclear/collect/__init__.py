"""Collect: search phrases become two folders of photos, or tar shards, with the author and licence of every photo.

The way of a photo:

1. `providers` search. `ahead` lets many searches wait for their hosts at once. A result is a `candidate`.
2. `collector` takes the candidates in turn, leaves out what is known, and fetches several at once.
3. `downloader` fetches and checks one photo, through `client`. The client connects only where `ssrf_guard` allows, and
   as often as `rate_limit` allows. `turns` keeps the turns of a host for all processes of this machine.
4. `filing` says what every place of photos does and knows. `store` is the place of two folders, `shard_store` that of
   tar shards. `shard_index` reads what a place of shards holds.
5. `records` has the rows of the tables: sources, and `rejections` with reasons. `credits` writes CREDITS.md from them.

It may import data, images and utils.
It must not know features or models: a photo is accepted for what the file is, not for what it shows.
Hostile input: nothing from the network becomes a path.
"""
