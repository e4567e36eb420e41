"""The report of a training: one HTML file that explains itself, loads nothing and runs nothing.

Each room makes one kind of part from a training (headline, tables, data, figures, hardest photos, model card), `page`
puts them together, and `report.html.j2` says where they stand.
"""
