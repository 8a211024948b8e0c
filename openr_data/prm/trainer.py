"""The trainer: transformers' own, with a loss at the step tags alone and an evaluation of steps.

The model keeps its forward pass, so whatever wraps it (DDP, FSDP, DeepSpeed, PEFT, activation checkpointing) stays in charge; all
that is asked of it is which positions its head computes (`logits_to_keep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np
import torch
from accelerate.utils import DistributedType, gather_object
from torch import Tensor
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput

from openr_data.errors import EngineError
from openr_data.prm.calibration import calibration
from openr_data.prm.collate import Part
from openr_data.prm.config import IGNORE, Head, PRMConfig
from openr_data.prm.heads import margins
from openr_data.prm.loss import StepLoss
from openr_data.prm.metrics import probabilities, ranking
from openr_data.prm.plan import only


class PRMTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """Takes a model of `heads.judging` and plans of `prm.plan` for data sets; one loader item is one micro-batch of parts.

    The loss of an optimiser step is the weighted sum over all its steps divided by their total weight, over all parts,
    micro-batches and processes: the same however the batch was cut. A loss or gradient that is no number ends the run with an
    `EngineError` before the weights change.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, *, prm: PRMConfig, loss: StepLoss, **settings: Any) -> None:
        super().__init__(data_collator=only, **settings)
        self.model_accepts_loss_kwargs = True
        self._prm, self._loss = prm, loss
        self._parameters: int = sum(each.numel() for each in settings["model"].parameters())

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The micro-batches of an optimiser step and the total weight of their steps, over all processes."""
        batches = list(islice(epoch_iterator, num_batches))
        parts = [part for batch in batches for part in batch["parts"]]
        items = sum(float(self._loss.items(part["labels"], part["weights"])) for part in parts)
        mine = torch.tensor([[items, sum(batch["tokens"] for batch in batches)]], dtype=torch.float64, device=device)
        gathered: Any = self.accelerator.gather(mine)
        counts = gathered.sum(0)
        self.state.num_input_tokens_seen += int(counts[1])
        return batches, counts[0].clamp(min=torch.finfo(torch.float32).tiny).float()

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward over the parts of a micro-batch; gradients are exchanged with the last one alone."""
        parts, state = self._even(inputs["parts"]), self.accelerator.gradient_state
        exchange, total = state.sync_gradients, torch.zeros((), device=self.args.device)
        for part in parts[:-1]:
            state._set_sync_gradients(False)
            with self._alone(model):
                total += super().training_step(model, part, num_items_in_batch)
        state._set_sync_gradients(exchange)
        total += super().training_step(model, parts[-1], num_items_in_batch)
        self._refuse_no_number("loss", float(total))
        return total

    def compute_loss(self, model: Any, inputs: Part, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        found = judged(model, inputs, self._prm.head)
        total = self._loss.total(found, inputs["labels"], inputs["weights"])
        items = num_items_in_batch
        if items is None:
            items = self._loss.items(inputs["labels"], inputs["weights"])
        elif self.args.average_tokens_across_devices:
            total = total * self.accelerator.num_processes  # gradients are averaged over the processes
        return (total / items, found) if return_outputs else total / items

    def evaluation_loop(
        self, dataloader: Any, description: str, *_: Any, metric_key_prefix: str = "eval", **__: Any
    ) -> EvalLoopOutput:
        """Of a model in training: `step_measures` over all steps and processes.

        `score` is what the best checkpoint is chosen by: the AUROC, or without one the loss with its sign turned.
        """
        model: Any = self.model_wrapped
        model.eval()
        found = {batch["number"]: self._measured(model, batch["parts"][0]) for batch in dataloader}
        everything = dict(gather_object(list(found.items()))) if self.args.world_size > 1 else found
        measured = step_measures(list(everything.values()))
        named = {f"{metric_key_prefix}_{name}": value for name, value in measured.items()}
        return EvalLoopOutput(predictions=np.zeros(0), label_ids=None, metrics=named, num_samples=len(everything))

    def floating_point_ops(self, inputs: Any) -> int:
        """Forward and backward: six operations for every weight and token, the attention's own left out."""
        return 6 * self._parameters * int(inputs["tokens"])

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Taken just before the weights change: gradients that are no numbers must not reach them, or a checkpoint."""
        norm: Any = super()._get_grad_norm(model, grad_norm=grad_norm)
        self._refuse_no_number("gradient", float(norm))
        return norm

    def _refuse_no_number(self, what: str, value: float) -> None:
        if not isfinite(value):
            raise EngineError(
                f"the {what} became {value} in step {self.state.global_step + 1}, so training ended; the last checkpoint is "
                "kept: try a lower --rate or more --warmup"
            )

    @torch.no_grad()
    def _measured(self, model: Any, part: Part) -> Measured:
        part = self._prepare_inputs(part)
        found = judged(model, part, self._prm.head)
        labels, weights = part["labels"], part["weights"]
        known = labels != IGNORE
        sums = self._loss.total(found, labels, weights), self._loss.items(labels, weights)
        return (float(sums[0]), float(sums[1]), found[known].double().cpu().numpy(), labels[known].cpu().numpy())

    def _even(self, parts: Sequence[Part]) -> list[Part]:
        """As many parts as the process with the most of them, since all exchange in step; those added weigh nothing."""
        count = len(parts)
        if self.args.world_size > 1:
            counts: Any = self.accelerator.gather(torch.tensor([count], device=self.args.device))
            count = int(counts.max())
        return [*parts, *(self._weightless() for _ in range(max(1, count) - len(parts)))]

    def _weightless(self) -> Part:
        one = torch.zeros((1, 1), dtype=torch.int64, device=self.args.device)
        return {"input_ids": one, "reads": one, "labels": torch.full((1, 1), IGNORE, device=self.args.device)} | {
            "weights": torch.zeros((1, 1), device=self.args.device)
        }

    def _alone(self, model: Any) -> Any:
        """Without an exchange of gradients; DeepSpeed has its own way to count."""
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            return nullcontext()
        return self.accelerator.no_sync(model)


def judged(model: Any, part: Part, head: Head) -> Tensor:
    """[solutions, steps]: the margin at every read position, in fp32; anything where steps are padded."""
    given: dict[str, Tensor] = {name: part[name] for name in ("input_ids", "position_ids") if name in part}
    places = part["reads"]
    if head == "causal":
        kept, places = torch.unique(places, return_inverse=True)
        given["logits_to_keep"] = kept
    found = margins(model(**given, use_cache=False).logits)
    return found[0][places] if "position_ids" in part else found.gather(1, places)


Measured = tuple[float, float, Any, Any]
"""Of one part: the weighted sum of the losses, its divisor, and [steps] margins and targets."""


def step_measures(found: Sequence[Measured]) -> dict[str, float]:
    """`loss`, `ece` (bins of equal width), `score`, and where there are steps of both classes `auroc` and `ap_bad`, the average
    precision of bad steps. Targets above one half are good steps.
    """
    logits, targets = (np.concatenate([each[place] for each in found]) for place in (2, 3))
    good = targets > 0.5
    loss = sum(each[0] for each in found) / max(sum(each[1] for each in found), 1e-12)
    ranked = ranking(logits, good)
    told = {"loss": loss, "ece": calibration(probabilities(logits), good).ece_width}
    if ranked is None:
        return {**told, "score": -loss}
    return {**told, "auroc": ranked.auroc, "ap_bad": ranked.ap_bad, "score": ranked.auroc}
