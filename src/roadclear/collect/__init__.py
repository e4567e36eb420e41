"""Phrases in, two folders of attributed photos out.

Providers find candidates (`candidate`, `providers`); `collecting` takes them in turns, so that both labels get similar
sources; `downloader` fetches them over `network`, which connects only where `addresses` allows; `filing` puts them
under their labels and writes down where each is from (`tables`), or why it was not taken (`refusals`).
"""
