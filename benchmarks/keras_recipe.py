"""The recipe as Keras' guide to transfer learning writes it. Needs TensorFlow and Keras, nothing of ours.

    python benchmarks/keras_recipe.py train PHOTOS SPLITS.CSV OUT.keras [--epochs 20] [--weights none]
                                            [--fine-tune-at 100 [--fine-tune-epochs 10]]
    python benchmarks/keras_recipe.py build OUT.keras
    python benchmarks/keras_recipe.py predict MODEL.keras PHOTO

Photos are decoded once and kept in memory (`cache`), batches are prepared ahead (`prefetch`), and training runs as
a compiled graph: what the guide and TensorFlow's performance guide advise.

With --fine-tune-at it is the recipe of TensorFlow's tutorial "Transfer learning and fine-tuning"
(https://www.tensorflow.org/tutorials/images/transfer_learning): other random views, dropout before the head, and after
`--epochs` (there 10) a second phase, in which the base's layers from that number (there 100 of 154) on train as well,
by RMSprop 1e-5.
"""

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

SIZE = 224
BATCH = 32


def guide_views():
    """The guide's augmentation."""
    return [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomRotation(0.1),
        keras.layers.RandomZoom(0.2),
    ]


def tutorial_views():
    """The tutorial's augmentation."""
    return [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.2)]


def build(weights, views=guide_views, dropout=0.0):
    """Augmentation, scaling, frozen MobileNetV2, average pooling, dropout, Dense(512), Dense(1)."""
    base = keras.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, weights=weights)
    base.trainable = False
    photo = keras.Input((SIZE, SIZE, 3))
    x = photo
    for layer in views():
        x = layer(x)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(512, activation="relu")(x)
    model = keras.Model(photo, keras.layers.Dense(1, activation="sigmoid")(x))
    compile_with(model, keras.optimizers.Adam(1e-4))
    return model


def compile_with(model, optimizer):
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])


def unfreeze(model, first):
    """Have the base's layers from number `first` on trained as well."""
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    base.trainable = True
    for layer in base.layers[:first]:
        layer.trainable = False
    compile_with(model, keras.optimizers.RMSprop(1e-5))


def read(path, target):
    """As `image_dataset_from_directory` reads a photo."""
    photo = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.image.resize(photo, (SIZE, SIZE)), target


def dataset(photos, rows, part, positive):
    chosen = [row for row in rows if row["split"] == part]
    paths = [str(Path(photos, row["file"])) for row in chosen]
    targets = [[float(row["label"] == positive)] for row in chosen]
    data = tf.data.Dataset.from_tensor_slices((paths, targets)).map(read, tf.data.AUTOTUNE).cache()
    if part == "train":
        data = data.shuffle(len(chosen))
    return data.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def train(photos, splits, out, epochs, weights, fine_tune_at, fine_tune_epochs):
    with Path(splits).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    positive = min(row["label"] for row in rows)
    model = build(weights) if fine_tune_at is None else build(weights, tutorial_views, dropout=0.2)
    training, validation = (dataset(photos, rows, part, positive) for part in ("train", "validation"))
    model.fit(training, validation_data=validation, epochs=epochs, verbose=2)
    if fine_tune_at is not None:
        unfreeze(model, fine_tune_at)
        model.fit(training, validation_data=validation, epochs=fine_tune_epochs, verbose=2)
    loss, accuracy = model.evaluate(dataset(photos, rows, "test", positive), verbose=0)
    model.save(out)
    print(f"test loss {loss:.4f}, accuracy {accuracy:.4f}")


def predict(file, photo):
    """One photo, by a direct call: `Model.predict` would set up a data pipeline first, which takes longer."""
    model = keras.models.load_model(file)
    pixels = keras.utils.img_to_array(keras.utils.load_img(photo, target_size=(SIZE, SIZE)))
    print(f"{float(model(pixels[None], training=False)[0, 0]):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    for name in ("photos", "splits", "out"):
        training.add_argument(name)
    training.add_argument("--epochs", type=int, default=20)
    training.add_argument("--fine-tune-at", type=int, metavar="LAYER", help="the base's first layer to unfreeze")
    training.add_argument("--fine-tune-epochs", type=int, default=10)
    building = commands.add_parser("build")
    building.add_argument("out")
    for command in (training, building):
        command.add_argument("--weights", default="none", help="none (random), imagenet, or a file")
    prediction = commands.add_parser("predict")
    for name in ("file", "photo"):
        prediction.add_argument(name)
    arguments = vars(parser.parse_args())
    command = arguments.pop("command")
    if arguments.get("weights") == "none":
        arguments["weights"] = None
    if command == "build":
        build(arguments["weights"]).save(arguments["out"])
    else:
        {"train": train, "predict": predict}[command](**arguments)


if __name__ == "__main__":
    main()
