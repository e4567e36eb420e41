"""Utils: tools that any program could use.

Its job: files that are written whole or not at all, locks, threads, tables, text, settings, progress.
It may import `roadclear.errors` alone.
It must not know photos, models or any other room: a tool that does belongs to that room.
"""
