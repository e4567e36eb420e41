"""AdamW for named parameters with a peak learning rate each (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

# The class `torch.optim.AdamW` imports PyTorch's compiler, which takes a second of every training.
from torch.optim.adamw import adamw

from roadclear.training.finetune.network import Parameters

_STATE = ("step", "exp_avg", "exp_avg_sq")


class AdamW:
    """AdamW with PyTorch's default betas, epsilon and weight decay.

    Args:
        parameters: parameters by name, which `step` changes in place.
        rates: peak learning rate by name.

    Attributes:
        state: Adam's state by kind ("step", "exp_avg", "exp_avg_sq") and name.
    """

    def __init__(self, parameters: Parameters, rates: Mapping[str, float]) -> None:
        self._parameters = parameters
        self._names: dict[float, list[str]] = {}
        for name in parameters:
            self._names.setdefault(rates[name], []).append(name)
        self.state: dict[str, Parameters] = {
            "step": {name: torch.zeros((), device=value.device) for name, value in parameters.items()},
            "exp_avg": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "exp_avg_sq": {name: torch.zeros_like(value) for name, value in parameters.items()},
        }

    @torch.no_grad()
    def step(self, gradients: Parameters, factor: float) -> None:
        """Change the parameters by their gradients.

        Args:
            gradients: gradients by name.
            factor: share of the peak learning rates, 0 to 1.
        """
        for rate, names in self._names.items():
            steps, averages, squares = (_listed(self.state[kind], names) for kind in _STATE)
            adamw(
                _listed(self._parameters, names),
                _listed(gradients, names),
                averages,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate * factor,
                weight_decay=0.01,
                eps=1e-8,
                maximize=False,
            )


def _listed(values: Parameters, names: Sequence[str]) -> list[Tensor]:
    return [values[name] for name in names]
