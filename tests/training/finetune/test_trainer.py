"""Fine-tuning learns, repeats, resumes to the same bits, keeps its best epoch, and leaves PyTorch as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from heads import KINDS  # noqa: E402
from tops import CPU, RECIPE, drawn_photos, imagenet, small_head  # noqa: E402

from roadclear.model.heads import Epoch, log_loss  # noqa: E402
from roadclear.training.finetune.device import repeatable  # noqa: E402
from roadclear.training.finetune.schedule import Recipe  # noqa: E402
from roadclear.training.finetune.trainer import FineTuned, Network, Photos, embed, fine_tune  # noqa: E402

pytestmark = pytest.mark.slow

UNFROZEN = 1
TRAINING = drawn_photos(40, UNFROZEN, views=2)
VALIDATION = drawn_photos(24, UNFROZEN, seed=7)


def tuned(recipe: Recipe = RECIPE, training: Photos = TRAINING, kind: str = "dense", **others: object) -> FineTuned:
    network = Network(imagenet(), small_head(kind), UNFROZEN, CPU)
    return fine_tune(network, training, VALIDATION, recipe, **others)  # type: ignore[arg-type]


def logits_of(result: FineTuned) -> NDArray[np.float32]:
    """Logits of the validation photos."""
    network = Network(result.weights, result.trained.head, UNFROZEN, CPU)
    return result.trained.head.logits(embed(network, VALIDATION))


def assert_same(one: FineTuned, other: FineTuned) -> None:
    """To the bit."""
    assert one.trained.history == other.trained.history
    assert one.trained.best_epoch == other.trained.best_epoch
    assert one.weights.sha256 == other.weights.sha256
    for name, value in vars(one.trained.head).items():
        np.testing.assert_array_equal(value, getattr(other.trained.head, name))


@pytest.fixture(scope="module")
def undisturbed() -> FineTuned:
    return tuned()


class TestLearning:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_learns_what_the_frozen_network_does_not_see(self, kind: str) -> None:
        result = tuned(RECIPE, kind=kind)
        before = small_head(kind).logits(embed(Network(imagenet(), small_head(kind), UNFROZEN, CPU), VALIDATION))
        right = [np.mean((logits > 0) == (VALIDATION.targets == 1)) for logits in (before, logits_of(result))]
        assert right[0] < 0.8
        assert right[1] > 0.9

    def test_the_best_epoch_is_kept(self) -> None:
        """The result is that of a training which ended there, but for the pace, which is that of the longer one."""
        result = tuned(replace(RECIPE, learning_rate=0.02))
        history = result.trained.history
        best = min(history, key=lambda epoch: epoch.validation_loss)
        assert result.trained.best_epoch == best.epoch
        logits = logits_of(result)
        assert np.mean((logits > 0) == (VALIDATION.targets == 1)) == best.validation_accuracy

    def test_it_stops_when_the_validation_loss_no_longer_falls(self) -> None:
        backwards = replace(TRAINING, targets=1 - TRAINING.targets)
        result = tuned(replace(RECIPE, epochs=12, patience=2), backwards)
        assert len(result.trained.history) == result.trained.best_epoch + 2 < 12

    def test_a_rare_label_weighs_as_much(self) -> None:
        """Five of one label to one of the other: both are still found."""
        few = np.flatnonzero((TRAINING.targets == 0) | (np.arange(40) < 8))
        rare = Photos(lambda photos, views: TRAINING.activations(few[photos], views), TRAINING.targets[few], 2)
        result = tuned(RECIPE, rare)
        logits = logits_of(result)
        for label in (0, 1):
            assert np.mean((logits > 0)[VALIDATION.targets == label] == label) > 0.8

    def test_sources_decide_how_much_a_photo_weighs(self) -> None:
        """Of 40 photos 30 are of one source with wrong labels: ten of other sources outvote them only by weight."""
        wrong = np.arange(40) % 4 != 0
        mislabelled = replace(TRAINING, targets=np.where(wrong, 1 - TRAINING.targets, TRAINING.targets))
        sources = ["one" if is_wrong else f"another {i}" for i, is_wrong in enumerate(wrong)]
        alike, weighted = (tuned(RECIPE, replace(mislabelled, sources=of)) for of in ((), sources))
        losses = [log_loss(logits_of(result), VALIDATION.targets) for result in (alike, weighted)]
        assert losses[1] < losses[0]

    def test_mirrored_activations_are_learned_from(self) -> None:
        never, always = (tuned(replace(RECIPE, epochs=1, flip=flip)) for flip in (0.0, 1.0))
        mirrored = Photos(lambda *of: TRAINING.activations(*of)[..., ::-1].copy(), TRAINING.targets, TRAINING.views)
        assert_same(tuned(replace(RECIPE, epochs=1, flip=0.0), mirrored), always)
        assert never.weights.sha256 != always.weights.sha256


class TestRepeatable:
    def test_twice_the_same(self, undisturbed: FineTuned) -> None:
        assert_same(tuned(), undisturbed)

    def test_whatever_pytorch_s_generator_and_threads_are_at(self, undisturbed: FineTuned) -> None:
        threads = torch.get_num_threads()
        torch.manual_seed(5)
        torch.set_num_threads(1)
        try:
            assert_same(tuned(), undisturbed)
        finally:
            torch.set_num_threads(threads)

    def test_another_seed_gives_another_result(self, undisturbed: FineTuned) -> None:
        assert tuned(replace(RECIPE, seed=1)).weights.sha256 != undisturbed.weights.sha256

    def test_pytorch_s_settings_are_left_as_they_were(self) -> None:
        def settings() -> tuple[object, ...]:
            memory = torch.utils.deterministic
            random = torch.random.get_rng_state().tolist()
            return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), memory, random

        before = settings()
        tuned(replace(RECIPE, epochs=1))
        assert settings() == before
        with pytest.raises(RuntimeError), repeatable(CPU):
            raise RuntimeError
        assert settings() == before


class EndedError(Exception):
    """Stands in for whatever ends a training."""


class TestResumed:
    @pytest.mark.parametrize("after", [1, 3, 5])
    def test_it_goes_on_to_the_same_bits(self, undisturbed: FineTuned, tmp_path: Path, after: int) -> None:
        checkpoint = tmp_path / "checkpoint.npz"

        def interrupt(epoch: Epoch) -> None:
            if epoch.epoch == after:
                raise EndedError

        with pytest.raises(EndedError):
            tuned(checkpoint=checkpoint, on_epoch=interrupt)
        told: list[Epoch] = []
        assert_same(tuned(checkpoint=checkpoint, on_epoch=told.append), undisturbed)
        assert [epoch.epoch for epoch in told] == list(range(after + 1, RECIPE.epochs + 1))

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"x" * 5000])
    def test_a_damaged_checkpoint_is_begun_anew(self, undisturbed: FineTuned, tmp_path: Path, content: bytes) -> None:
        checkpoint = tmp_path / "checkpoint.npz"
        checkpoint.write_bytes(content)
        assert_same(tuned(checkpoint=checkpoint), undisturbed)

    def test_half_a_checkpoint_is_begun_anew(self, undisturbed: FineTuned, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint.npz"
        tuned(replace(RECIPE, epochs=1), checkpoint=checkpoint)
        checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
        assert_same(tuned(checkpoint=checkpoint), undisturbed)

    def test_it_is_no_pickle(self, tmp_path: Path) -> None:
        tuned(replace(RECIPE, epochs=1), checkpoint=tmp_path / "checkpoint.npz")
        with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "fi" for name in arrays.files)

    def test_where_none_can_be_written_it_trains_all_the_same(self, undisturbed: FineTuned, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        assert_same(tuned(checkpoint=tmp_path / "file" / "checkpoint.npz"), undisturbed)
