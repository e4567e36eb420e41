"""Pictures of predictions: what each place of a photo adds, and many photos side by side.

Viewing gives a photo in its own proportions, overlay and lettering draw on it, heatmap and grid compose a picture,
samples chooses what a grid shows, and gallery writes pictures to a folder.
"""

from roadclear.pictures.grid import Cell, prediction_grid
from roadclear.pictures.heatmap import heatmap_picture
from roadclear.pictures.viewing import view_photo

__all__ = ["Cell", "heatmap_picture", "prediction_grid", "view_photo"]
