"""The optimizer changes parameters as `torch.optim.AdamW` does, and its state is all that a resumed training needs."""

import pytest

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from roadclear.training.finetune.optimizer import AdamW  # noqa: E402

RATES = {"low": 1e-3, "high": 1e-2}
FACTORS = (0.5, 1.0, 0.25)


def drawn(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(3, 4, generator=generator) for name in RATES}


def test_it_is_adamw() -> None:
    ours, theirs = drawn(0), drawn(0)
    mine = AdamW(ours, RATES)
    reference = torch.optim.AdamW([{"params": [theirs[name]], "lr": rate} for name, rate in RATES.items()], fused=True)
    for seed, factor in enumerate(FACTORS, start=1):
        gradients = drawn(seed)
        mine.step(gradients, factor)
        for group, (name, rate) in zip(reference.param_groups, RATES.items(), strict=True):
            group["lr"] = rate * factor
            theirs[name].grad = gradients[name]
        reference.step()
        for name in RATES:
            assert torch.equal(ours[name], theirs[name])


def test_it_goes_on_from_its_state() -> None:
    whole, parted = drawn(0), drawn(0)
    undisturbed, first = AdamW(whole, RATES), AdamW(parted, RATES)
    for seed in (1, 2):
        undisturbed.step(drawn(seed), 1.0)
    first.step(drawn(1), 1.0)
    second = AdamW(parted, RATES)
    second.state = first.state
    second.step(drawn(2), 1.0)
    for name in RATES:
        assert torch.equal(whole[name], parted[name])
