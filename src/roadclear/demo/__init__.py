"""What the demonstration does beside the commands: it sets things wrong on purpose, and counts what was found.

Folder claims a place for the results, copying draws some of a person's own photos, planting hides faults among them
and writes down which, scoring compares that with what cleaning and triage found, and pointing compares heatmaps with
where people were drawn.
"""
