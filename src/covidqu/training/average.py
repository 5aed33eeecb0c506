"""The moving average of a network's weights and running statistics."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn


class Average:
    """A copy of a network that follows it: after n steps by 1 - min(`decay`, (1 + n) / (10 + n)) of the way.

    The limit keeps short trainings from being an average with random weights. Integers (numbers of batches) are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module, self.decay, self.steps = deepcopy(model).requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take over a step of training; no waiting for the device."""
        kept, new = (list(m.state_dict().values()) for m in (self.module, model))
        floating = [place for place, value in enumerate(kept) if value.is_floating_point()]
        weight = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.steps else 1.0
        torch._foreach_lerp_([kept[i] for i in floating], [new[i] for i in floating], weight)
        for place in set(range(len(kept))) - set(floating):
            kept[place].copy_(new[place])
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Weights, and the number of steps."""
        return {"module": self.module.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.module.load_state_dict(state["module"])
        self.steps = state["steps"]
