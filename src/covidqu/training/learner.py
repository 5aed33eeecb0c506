"""A network that learns: one batch in, one step of the optimiser. What is timed by `cost` and the benchmarks, too."""

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from covidqu.config.training import Run
from covidqu.data.batches import Batch
from covidqu.data.examples import LABELS, Statistics
from covidqu.systems.base import System, prepare
from covidqu.training.average import Average
from covidqu.training.losses import Outputs, every_part, total_loss
from covidqu.training.optimization import freeze, optimization


class Learner:
    """Network, optimiser, schedule and average of one run on the device of `fabric`.

    `ratios`: background / foreground pixels of Train by task; `statistics`: what intensities are normalised with.
    """

    def __init__(
        self, run: Run, fabric: Fabric, model: System, ratios: dict[str, float], statistics: Statistics | None
    ) -> None:
        self.run, self.fabric, self.ratios = run, fabric, ratios
        self.model = model.to(memory_format=torch.channels_last)
        self.frozen = freeze(run, model)
        optimizer, self.scheduler = optimization(run, model)
        self.forward, self.optimizer = fabric.setup(self.model, optimizer)
        self.average = None if run.ema is None else Average(self.model, run.ema)
        self.statistics = statistics and tuple(torch.tensor(values, device=fabric.device) for values in statistics)
        self.class_of_label = torch.tensor([run.class_map.get(label, -1) for label in LABELS], device=fabric.device)

    def train(self) -> None:
        """Training mode; of frozen parts running statistics move only with `frozen_bn: train`."""
        self.forward.train()
        for module in self.frozen if self.run.frozen_bn == "eval" else []:
            module.eval()

    def update(self, batch: Batch) -> tuple[Tensor, Outputs, Outputs]:
        """Learn from one batch; its loss, outputs and targets."""
        batch = batch.to(self.fabric.device)
        logits, targets = self.outputs(batch, self.forward)
        loss = total_loss(self.run.loss, logits, targets, self.ratios, batch.label)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update(self.model)
        return loss.detach(), logits, targets

    @torch.no_grad()
    def look(self, batch: Batch) -> tuple[list[Tensor], Outputs, Outputs]:
        """Validate one batch: sums (k,) of the parts of each term, outputs and targets, in evaluation mode."""
        batch = batch.to(self.fabric.device)
        logits, targets = self.outputs(batch, (self.average.module if self.average else self.forward).eval())
        found = every_part(self.run.loss, logits, targets, self.ratios, batch.label)
        return [part.double().sum(0) for part in found], logits, targets

    def outputs(self, batch: Batch, network: torch.nn.Module) -> tuple[Outputs, Outputs]:
        """Forward pass of a batch on the device: logits and targets by task."""
        image, targets = prepare(batch.seen(), self.model.channels, self.statistics), Outputs()
        for task in self.run.tasks:
            if task == "class":
                targets[task] = self.class_of_label[batch.label]
            else:
                targets[task] = image[:, :1] if task == "reconstruction" else batch.target(task).unsqueeze(1)
        with self.fabric.autocast():
            return network(image), targets

    def kept(self) -> dict[str, Tensor]:
        """A copy on the host of the weights that are validated."""
        module = self.average.module if self.average else self.model
        return {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}

    def parts(self) -> dict[str, Any]:
        """Name -> what a state is made of: network, optimiser, schedule, average, scale of the gradients."""
        found = {"model": self.model, "optimizer": self.optimizer, "precision": self.fabric.strategy.precision}
        return found | {k: v for k, v in (("scheduler", self.scheduler), ("average", self.average)) if v is not None}

    def state_dict(self) -> dict[str, Any]:
        """All that a training needs to go on, but for its history."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
