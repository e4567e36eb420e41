"""Drawing: heatmaps over photos, and grids of photos with their predictions."""
