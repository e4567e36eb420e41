"""Report: results become pages, charts and sentences.

Its job: one HTML file about a training, which explains itself, loads nothing and runs no script.
It may import training and the rooms below training. `page` puts the parts together; `report.html.j2` places them.
It must not know how to train: what takes computing (cross-checks, learning curve) is handed to this room as a value.
It must not know deploy or curation.
"""
