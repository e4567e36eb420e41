"""Near-duplicates: which photos look alike, by perceptual hash and by embedding, and the groups that they form."""
