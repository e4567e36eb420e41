"""Heads learn what can be learnt, stop early at their best epoch, and are repeatable."""

import hashlib
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from roadclear.model import fit
from roadclear.model.fit import train_dense, train_head, train_linear, train_linears
from roadclear.model.heads import (
    HIDDEN_UNITS,
    DenseHead,
    Epoch,
    LinearHead,
    TrainedHead,
    balanced_weights,
    log_loss,
    probabilities,
)
from roadclear.model.settings import HeadSettings
from roadclear.utils.rows import StoredRows

CHANNELS, TELLING = 1280, 64
Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def toy(n: int, distance: float, seed: int = 0, share: float = 0.5, noise: float = 0.2) -> Labelled:
    """Embeddings like real ones (hardly any below zero), of two labels so many standard deviations apart."""
    draw = np.random.default_rng(seed)
    targets = (np.arange(n) < n * share).astype(np.int64)
    embeddings = np.abs(draw.normal(0, noise, (n, CHANNELS)))
    shift = distance / np.sqrt(TELLING) * np.where(np.arange(TELLING) % 2, 1, -1)
    embeddings[:, :TELLING] = 1 + 0.2 * (draw.normal(0, 1, (n, TELLING)) + np.outer(targets, shift))
    return embeddings.astype(np.float32), targets


def train(
    views: Sequence[NDArray[np.float32]], targets: NDArray[np.int64], held_out: Labelled, **options: Any
) -> TrainedHead:
    usual = {"learning_rate": 1e-3, "batch_size": 16, "epochs": 8, "patience": 8, "seed": 0}
    on_epoch, start = options.pop("on_epoch", None), options.pop("start", None)
    return train_dense(views, targets, held_out, HeadSettings(**(usual | options)), on_epoch, start)


def accuracy(trained: TrainedHead, labelled: Labelled) -> float:
    return float(np.mean((trained.head.logits(labelled[0]) > 0) == labelled[1]))


SEPARABLE, SEPARABLE_HELD_OUT = toy(60, distance=14), toy(40, distance=14, seed=1)
HARD, HARD_HELD_OUT = toy(60, distance=0), toy(40, distance=0, seed=1)


class TestDense:
    def test_it_learns_what_can_be_learnt(self) -> None:
        trained = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT)
        assert accuracy(trained, SEPARABLE) == 1
        assert accuracy(trained, SEPARABLE_HELD_OUT) == 1
        assert trained.history[-1].train_loss < 0.1 < trained.history[0].train_loss

    def test_it_has_the_declared_form(self) -> None:
        head = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=1).head
        assert isinstance(head, DenseHead)
        arrays = (head.hidden_kernel, head.hidden_bias, head.output_kernel, head.output_bias)
        assert [array.shape for array in arrays] == [(CHANNELS, HIDDEN_UNITS), (HIDDEN_UNITS,), (HIDDEN_UNITS,), ()]
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}

    def test_a_start_is_trained_further(self) -> None:
        """The first epoch begins where the earlier training has ended."""
        earlier = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT).head
        assert isinstance(earlier, DenseHead)
        afresh, further = (
            train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=1, start=start) for start in (None, earlier)
        )
        assert further.history[0].train_loss < 0.5 * afresh.history[0].train_loss

    def test_a_start_is_left_as_it_is(self) -> None:
        start = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=1).head
        assert isinstance(start, DenseHead)
        before = start.hidden_kernel.copy()
        train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=1, start=start)
        assert np.array_equal(start.hidden_kernel, before)

    def test_every_view_is_trained_on(self) -> None:
        """A view of noise beside the plain one, and the plain one beside noise: neither is passed over."""
        noise = toy(60, distance=0, seed=5)[0]
        alone = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT)
        mixed = [
            train(views, SEPARABLE[1], SEPARABLE_HELD_OUT) for views in ([SEPARABLE[0], noise], [noise, SEPARABLE[0]])
        ]
        for trained in mixed:
            assert accuracy(trained, SEPARABLE_HELD_OUT) > 0.9
            assert trained.history[-1].train_loss > 2 * alone.history[-1].train_loss


class TestEarlyStopping:
    @pytest.mark.parametrize("held_out", [SEPARABLE_HELD_OUT, HARD_HELD_OUT])
    def test_the_best_epoch_is_kept(self, held_out: Labelled) -> None:
        trained = train([SEPARABLE[0]], SEPARABLE[1], held_out, epochs=8)
        losses = [epoch.validation_loss for epoch in trained.history]
        assert losses[trained.best_epoch - 1] == min(losses)
        assert losses.index(min(losses)) == trained.best_epoch - 1
        logits = trained.head.logits(held_out[0])
        assert log_loss(logits, held_out[1], balanced_weights(held_out[1])) == pytest.approx(min(losses), rel=1e-6)

    @pytest.mark.parametrize("patience", [1, 3])
    def test_it_stops_when_patience_is_over(self, patience: int) -> None:
        trained = train([HARD[0]], HARD[1], HARD_HELD_OUT, epochs=200, patience=patience, learning_rate=1e-2)
        assert len(trained.history) == trained.best_epoch + patience < 200

    def test_it_does_not_stop_before(self) -> None:
        """The training that had more patience saw the same epochs, and more."""
        hasty, patient = (
            train([HARD[0]], HARD[1], HARD_HELD_OUT, epochs=20, patience=p, learning_rate=1e-2) for p in (2, 20)
        )
        assert patient.history[: len(hasty.history)] == hasty.history
        assert len(patient.history) == 20

    def test_the_history_is_complete_and_told_as_it_grows(self) -> None:
        told: list[Epoch] = []
        trained = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=5, on_epoch=told.append)
        assert tuple(told) == trained.history
        assert [epoch.epoch for epoch in trained.history] == [1, 2, 3, 4, 5]
        assert all(math.isfinite(epoch.train_loss + epoch.validation_loss) for epoch in trained.history)
        last = trained.history[-1]
        assert trained.best_epoch == 5
        assert last.validation_accuracy == accuracy(trained, SEPARABLE_HELD_OUT)

    def test_a_learning_rate_that_is_far_too_high_still_gives_a_head(self) -> None:
        trained = train([SEPARABLE[0] * 100], SEPARABLE[1], SEPARABLE_HELD_OUT, learning_rate=1.0, epochs=5)
        assert np.isfinite(trained.head.logits(SEPARABLE_HELD_OUT[0])).all()
        assert trained.best_epoch >= 1


class TestRepeatable:
    def test_the_seed_decides(self) -> None:
        heads = [train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=2, seed=s).head for s in (0, 0, 1)]
        first, same, other = (head.logits(SEPARABLE_HELD_OUT[0]).tobytes() for head in heads)
        assert first == same != other

    @pytest.mark.slow
    def test_the_numbers_of_blas_threads_and_cores_do_not(self) -> None:
        digests = set()
        for threads in ("1", "2"):
            variables = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            command = [sys.executable, __file__]
            ended = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=True)
            digests.add(ended.stdout)
        assert len(digests) == 1
        assert len(digests.pop()) > 64


class TestLinear:
    def test_it_is_scikit_learn_s_regression_on_standardised_embeddings(self) -> None:
        views = [toy(50, distance=3, share=0.3, seed=seed)[0] for seed in (0, 3)]
        targets = toy(50, distance=3, share=0.3)[1]
        held_out = toy(40, distance=3, seed=1)
        trained = train_linear(views, targets, held_out)
        assert isinstance(trained.head, LinearHead)
        logits = []
        for strength in (1e-4, 1e-3, 1e-2, 1e-1):
            pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000, tol=1e-9))
            weights = balanced_weights(np.tile(targets, 2))
            pipeline.fit(np.concatenate(views), np.tile(targets, 2), logisticregression__sample_weight=weights)
            logits.append(pipeline.decision_function(held_out[0]))
        losses = [log_loss(each.astype(np.float32), held_out[1], balanced_weights(held_out[1])) for each in logits]
        assert [epoch.validation_loss for epoch in trained.history] == pytest.approx(losses, abs=1e-4)
        assert trained.best_epoch == int(np.argmin(losses)) + 1
        assert trained.head.logits(held_out[0]) == pytest.approx(logits[int(np.argmin(losses))], abs=1e-3)

    def test_it_learns_what_can_be_learnt(self) -> None:
        assert accuracy(train_linear([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT), SEPARABLE_HELD_OUT) == 1

    def test_channels_that_never_change_do_no_harm(self) -> None:
        embeddings, held_out = SEPARABLE[0].copy(), SEPARABLE_HELD_OUT[0].copy()
        embeddings[:, 100:] = held_out[:, 100:] = 0
        trained = train_linear([embeddings], SEPARABLE[1], (held_out, SEPARABLE_HELD_OUT[1]))
        assert np.isfinite(trained.head.logits(held_out)).all()
        assert accuracy(trained, (held_out, SEPARABLE_HELD_OUT[1])) == 1

    def test_splits_together_are_those_one_by_one(self) -> None:
        embeddings, targets = toy(80, distance=3)
        views = [embeddings, toy(80, distance=3, seed=4)[0]]
        draw = np.random.default_rng(0)
        splits = [(order[:50], order[50:70]) for order in (draw.permutation(80) for _ in range(3))]
        for found, (train, held_out) in zip(train_linears(views, targets, splits), splits, strict=True):
            alone = train_linear(
                [view[train] for view in views], targets[train], (embeddings[held_out], targets[held_out])
            )
            assert found.best_epoch == alone.best_epoch
            assert found.head.logits(embeddings) == pytest.approx(alone.head.logits(embeddings), abs=1e-3)
            for one, other in zip(found.history, alone.history, strict=True):
                assert vars(one) == pytest.approx(vars(other), abs=1e-4)

    def test_no_warning_reaches_the_user(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train_linear([HARD[0]], HARD[1], HARD_HELD_OUT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "linear"])
def test_a_rare_label_counts_as_much_as_the_other(kind: str) -> None:
    """Labels that cannot be told apart, nine to one: the answer is one half, not one tenth."""
    (embeddings, targets), held_out = (
        toy(n, distance=0, seed=seed, share=0.1, noise=0) for seed, n in enumerate((300, 300))
    )
    if kind == "dense":
        trained = train([embeddings], targets, held_out)
    else:
        trained = train_linear([embeddings], targets, held_out)
    probability = 1 / (1 + np.exp(-trained.head.logits(held_out[0])))
    assert probability.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("kind", ["dense", "linear"])
def test_train_head_is_told_by_its_settings(kind: str) -> None:
    settings = HeadSettings(head=kind, learning_rate=1e-3, batch_size=16, epochs=3, patience=3, seed=5)
    found = train_head([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, settings)
    if kind == "dense":
        expected = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=3, patience=3, seed=5)
    else:
        expected = train_linear([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT)
    assert (found.history, found.best_epoch) == (expected.history, expected.best_epoch)
    assert (found.head.logits(SEPARABLE_HELD_OUT[0]) == expected.head.logits(SEPARABLE_HELD_OUT[0])).all()


def print_digest() -> None:
    """What a process with other numbers of threads prints of its training."""
    dense = train([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT, epochs=3)
    linear = train_linear([SEPARABLE[0]], SEPARABLE[1], SEPARABLE_HELD_OUT)
    for trained in (dense, linear):
        many = np.repeat(SEPARABLE_HELD_OUT[0], 20, axis=0)
        for array in (*asdict(trained.head).values(), probabilities(trained.head, many)):
            print(hashlib.sha256(array.tobytes()).hexdigest())
        print(trained.history)


if __name__ == "__main__":
    print_digest()


class TestManyPhotos:
    """Embeddings in a file, epochs that end before all photos were seen, and samples."""

    @pytest.fixture
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Treat 50 photos as many."""
        for name in ("MOST_A_ROUND", "MOST_LINEAR", "MOST_WATCHED"):
            monkeypatch.setattr(fit, name, 50)

    @staticmethod
    def stored(embeddings: NDArray[np.float32]) -> StoredRows:
        made = StoredRows.create((len(embeddings) + 1, CHANNELS))
        made[1:] = embeddings
        return made.take(np.arange(1, len(embeddings) + 1))

    @pytest.mark.parametrize("head", ["dense", "linear"])
    def test_a_file_gives_the_weights_of_memory_bit_for_bit(self, head: str) -> None:
        (train_on, targets), (held_out, truth) = toy(120, 2), toy(80, 2, seed=1)
        views = [train_on, train_on[::-1] + np.float32(0.01)]
        settings = HeadSettings(head=head, epochs=4, seed=3)
        in_memory = train_head(views, targets, (held_out, truth), settings)
        from_file = train_head([self.stored(view) for view in views], targets, (self.stored(held_out), truth), settings)
        assert asdict(from_file.head).keys() == asdict(in_memory.head).keys()
        for name, weights in asdict(in_memory.head).items():
            np.testing.assert_array_equal(asdict(from_file.head)[name], weights)
        assert from_file.history == in_memory.history

    @pytest.mark.usefixtures("few")
    def test_short_epochs_take_the_steps_of_long_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        embeddings, targets = toy(100, 2)
        held_out = toy(40, 2, seed=1)
        short = train([embeddings], targets, held_out, epochs=6, batch_size=25)
        monkeypatch.setattr(fit, "MOST_A_ROUND", 100)
        long = train([embeddings], targets, held_out, epochs=3, batch_size=25)
        assert [epoch.validation_loss for epoch in short.history[1::2]] == [
            epoch.validation_loss for epoch in long.history
        ]

    @pytest.mark.usefixtures("few")
    def test_an_epoch_of_short_batches_sees_every_photo(self) -> None:
        batches = fit._batches(70, 1, 32, np.random.default_rng(0))
        one_pass = np.concatenate([next(batches)[0] for _ in range(3)])
        assert sorted(one_pass.tolist()) == list(range(70))

    @pytest.mark.usefixtures("few")
    @pytest.mark.parametrize(("share", "positive"), [(0.5, 25), (0.1, 20), (0.99, 48)])
    def test_a_linear_head_draws_as_many_of_each_label_as_there_are(self, share: float, positive: int) -> None:
        _, targets = toy(200, 2, share=share)
        drawn = fit._drawn_photos(targets)
        assert drawn is not None
        assert (len(drawn), targets[drawn].sum()) == (50, positive)

    @pytest.mark.usefixtures("few")
    def test_a_sample_learns_what_can_be_learnt(self) -> None:
        held_out = toy(120, 14, seed=1)
        trained = train_linear([toy(200, 14)[0]], toy(200, 14)[1], held_out)
        assert accuracy(trained, held_out) > 0.95
