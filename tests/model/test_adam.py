"""The dense head's gradient and its steps, against finite differences, scikit-learn and PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from roadclear.model.adam import DenseTrainer, initial_head
from roadclear.model.heads import HIDDEN_UNITS, DenseHead, log_loss, sigmoid
from roadclear.utils import threads
from roadclear.utils.threads import Pair

CHANNELS = 6
Batch = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]


def batch(n: int, seed: int) -> Batch:
    draw = np.random.default_rng(seed)
    return draw.normal(0, 1, (n, CHANNELS)).astype(np.float32), draw.integers(0, 2, n), draw.uniform(0.2, 3, n)


def head_of(seed: int) -> DenseHead:
    """A head with biases that are not zero."""
    draw = np.random.default_rng(seed)
    bias = draw.normal(0, 0.1, HIDDEN_UNITS).astype(np.float32)
    return replace(initial_head(CHANNELS, draw), hidden_bias=bias, output_bias=np.float32(0.1))


def parts(head: DenseHead) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(value) for name, value in vars(head).items()}


def exact_loss(values: dict[str, NDArray[np.float64]], embeddings: NDArray[np.float32], rest: Batch) -> float:
    """The same loss in float64, written again."""
    _, targets, weights = rest
    hidden = np.maximum(embeddings.astype(np.float64) @ values["hidden_kernel"] + values["hidden_bias"], 0)
    probability = sigmoid(hidden @ values["output_kernel"] + values["output_bias"])
    return float(-np.average(np.log(np.where(targets == 1, probability, 1 - probability)), weights=weights))


def first_moves(head: DenseHead, one: Batch, rate: float) -> dict[str, NDArray[np.float64]]:
    trainer = DenseTrainer(head, rate, Pair())
    trainer.step(*one)
    moved = parts(trainer.head())
    return {name: moved[name].astype(np.float64) - before for name, before in parts(head).items()}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 9))
@example(seed=559, n=2)  # a unit is at its bend
def test_the_gradient_is_that_of_finite_differences(seed: int, n: int) -> None:
    """Along random directions in each array, in float64, where no unit changes its side."""
    head, one = head_of(seed), batch(n, seed + 1)
    trainer = DenseTrainer(head, 1e-3, Pair())
    loss = trainer.step(*one)
    values = {name: value.astype(np.float64) for name, value in parts(head).items()}
    assume(np.abs(one[0] @ values["hidden_kernel"] + values["hidden_bias"]).min() > 1e-5)
    assert loss == pytest.approx(exact_loss(values, one[0], one), rel=1e-5)
    first, second = trainer._blocks
    gradients = (
        np.concatenate((first.by_kernel, second.by_kernel), axis=1),
        np.concatenate((first.by_bias, second.by_bias)),
        np.concatenate((first.by_output, second.by_output)),
        trainer._output_bias.gradient[0],
    )
    found = zip(values, gradients, strict=True)
    draw = np.random.default_rng(seed)
    for name, gradient in found:
        direction = draw.normal(0, 1, np.shape(gradient)) * 1e-7
        ahead, behind = (exact_loss(values | {name: values[name] + sign * direction}, one[0], one) for sign in (1, -1))
        assert np.sum(gradient * direction) / 1e-7 == pytest.approx((ahead - behind) / 2e-7, rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_steps_are_those_of_pytorch(steps: int) -> None:
    """PyTorch adds epsilon after the bias correction; Keras, scikit-learn and this trainer before."""
    torch = pytest.importorskip("torch")
    head, rate = head_of(0), 1e-3
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in parts(head).items()}
    adam = torch.optim.Adam(tensors.values(), lr=rate)
    trainer = DenseTrainer(head, rate, Pair())
    for number in range(steps):
        embeddings, targets, weights = batch(16, number)
        hidden = torch.relu(torch.tensor(embeddings) @ tensors["hidden_kernel"] + tensors["hidden_bias"])
        logits = hidden @ tensors["output_kernel"] + tensors["output_bias"]
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, torch.tensor(targets, dtype=torch.float32), reduction="none"
        )
        loss = (losses * torch.tensor(weights)).sum() / weights.sum()
        adam.zero_grad()
        adam.param_groups[0]["eps"] = 1e-8 / (1 - 0.999 ** (number + 1)) ** 0.5
        loss.backward()
        adam.step()
        assert trainer.step(embeddings, targets, weights) == pytest.approx(loss.item(), rel=1e-5)
    for name, value in parts(trainer.head()).items():
        # Adam divides a tiny gradient by its size, so that the gradient's rounding may move a weight by a step.
        difference = np.abs(value - tensors[name].detach().numpy())
        assert np.median(difference) < 1e-6, name
        assert np.mean(difference > 2e-5) < 0.001, name


@pytest.mark.parametrize("epochs", [1, 5])
def test_whole_batches_are_those_of_scikit_learn(epochs: int) -> None:
    """One batch an epoch, so that the order of photos is the same: the losses and the logits agree."""
    embeddings, targets, weights = batch(40, 3)
    network = MLPClassifier((HIDDEN_UNITS,), alpha=0, batch_size=40, learning_rate_init=1e-2, random_state=0)
    network.partial_fit(embeddings[:2], [0, 1], classes=[0, 1])
    (kernel, output), (bias, output_bias) = network.coefs_, network.intercepts_
    start = DenseHead(
        *(each.astype(np.float32) for each in (kernel, bias, output[:, 0])), np.float32(output_bias[0])
    )  # fmt: skip
    network._optimizer.t = 0
    for moment in (*network._optimizer.ms, *network._optimizer.vs):
        moment[:] = 0
    trainer = DenseTrainer(start, 1e-2, Pair())
    for _ in range(epochs):
        network.partial_fit(embeddings, targets, sample_weight=weights)
        assert trainer.step(embeddings, targets, weights) == pytest.approx(network.loss_, rel=1e-4)
    probability = network.predict_proba(embeddings)[:, 1]
    assert sigmoid(trainer.head().logits(embeddings)) == pytest.approx(probability, abs=2e-3)


def test_two_threads_give_the_bits_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 2)
    alone = DenseTrainer(head_of(0), 1e-3, Pair())
    with Pair() as pair:
        together = DenseTrainer(head_of(0), 1e-3, pair)
        for number in range(20):
            assert together.step(*batch(32, number)) == alone.step(*batch(32, number))
        assert np.array_equal(together.logits(batch(5, 99)[0]), alone.logits(batch(5, 99)[0]))
    for name, value in parts(together.head()).items():
        assert np.array_equal(value, parts(alone.head())[name]), name


def test_the_trainer_has_the_logits_of_its_head() -> None:
    trainer = DenseTrainer(head_of(0), 1e-3, Pair())
    trainer.step(*batch(16, 0))
    embeddings = batch(30, 1)[0]
    assert trainer.logits(embeddings) == pytest.approx(trainer.head().logits(embeddings), abs=1e-5)


def test_steps_lower_the_loss_to_nothing() -> None:
    embeddings, targets, weights = batch(30, 5)
    trainer = DenseTrainer(head_of(1), 1e-2, Pair())
    losses = [trainer.step(embeddings, targets, weights) for _ in range(200)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.01
    assert log_loss(trainer.head().logits(embeddings), targets, weights) < 0.01


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e15])
def test_embeddings_of_any_size_give_finite_weights(scale: float) -> None:
    embeddings, targets, weights = batch(8, 0)
    trainer = DenseTrainer(head_of(0), 1e-3, Pair())
    for _ in range(3):
        trainer.step(embeddings * np.float32(scale), targets, weights)
    assert all(np.isfinite(value).all() for value in parts(trainer.head()).values())


def test_a_head_is_a_copy_and_the_start_is_left_alone() -> None:
    start = head_of(0)
    before = {name: value.copy() for name, value in parts(start).items()}
    trainer = DenseTrainer(start, 1e-2, Pair())
    trainer.step(*batch(8, 0))
    kept = trainer.head()
    after = {name: value.copy() for name, value in parts(kept).items()}
    trainer.step(*batch(8, 1))
    for name in before:
        assert np.array_equal(parts(start)[name], before[name])
        assert np.array_equal(parts(kept)[name], after[name])
        assert parts(kept)[name].dtype == np.float32
    assert not np.array_equal(parts(trainer.head())["hidden_kernel"], after["hidden_kernel"])


def test_the_first_step_has_the_length_of_the_rate() -> None:
    """Adam divides the first gradient by its own size."""
    moves = first_moves(head_of(0), batch(20, 0), rate=1e-3)
    assert np.median(np.abs(moves["output_kernel"])) == pytest.approx(1e-3, rel=1e-2)
    assert max(float(np.abs(move).max()) for move in moves.values()) < 1.01e-3


def test_the_initial_head_is_glorot_s() -> None:
    head = initial_head(1280, np.random.default_rng(0))
    for kernel, bound in ((head.hidden_kernel, (6 / 1792) ** 0.5), (head.output_kernel, (6 / 513) ** 0.5)):
        assert np.abs(kernel).max() == pytest.approx(bound, rel=0.02)
        assert kernel.std() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not head.hidden_bias.any()
    assert head.output_bias == 0
