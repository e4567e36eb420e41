"""Stock model: people on the road or an empty road, ready after installation.

The package contains the trained arrays in `trained.npz`: changed convolutions, head, reference vectors and facts. All
other convolutions come from the installed base weights. The first use joins both and keeps the model in the cache
folder, with a checksum.

`scripts/build_stock.py` trains the model again. docs/stock-model.md is the model card.
"""

from pathlib import Path

from roadclear.model.metadata import FORMAT_VERSION
from roadclear.utils.kept import keep, kept_path, read_kept

TRAINED = Path(__file__).with_name("trained.npz")
"""File that `roadclear.model.stock.packed.pack` made."""


def stock_model() -> bytes:
    """Load the content of the stock model file from the cache folder, or build the model.

    A cached file that is damaged or of another version is built again. A cache folder without write permission stays
    unchanged.

    Raises:
        WeightsError: the installed base weights are missing, damaged or unexpected.
    """
    trained = TRAINED.read_bytes()
    place = kept_path("stock", str(FORMAT_VERSION), trained)
    model = read_kept(place)
    if model is None:
        # Imported here, because predicting must start fast.
        from roadclear.model.onnx_file import build_model_file
        from roadclear.model.stock.packed import unpack

        model = build_model_file(*unpack(trained))
        keep(place, model)
    return model
