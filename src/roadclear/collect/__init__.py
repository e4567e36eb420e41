"""Collect: search phrases become two folders of photos with author and licence.

Its job: `providers` find candidates, `collector` takes them in turn, `downloader` fetches, `store` files and records.
It may import data, images and utils.
It must not know features or models: a photo is accepted for what the file is, not for what it shows.
Hostile input: `client` connects only where `ssrf_guard` allows, and nothing from the network becomes a path.
"""
