"""TRL's GRPO trainer with an advantage for each token, of solutions that somebody else sampled and rewarded.

One method of TRL 1.16 is overridden, `_generate_and_score_completions`: what it returns as `advantages` [solutions] is replaced
by [solutions, tokens], which its loss takes as well. `make test-trl` holds this to the version.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from trl import GRPOTrainer

from openr_data.rl.batches import Sample


class StepGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is not typed
    """`lesson` is called with the number of solutions that this process learns from next, and returns at most as many. `factor`
    is what the learning rate is multiplied with at each step of the optimiser.
    """

    def __init__(self, lesson: Callable[[int], Sequence[Sample]], factor: Callable[[int], float], **arguments: Any) -> None:
        self._lesson, self._factor = lesson, factor
        self._samples: list[Sample | None] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that rollout functions are new: this one is held to a version
            super().__init__(reward_funcs=_nothing, rollout_func=self._rollout, **arguments)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler = LambdaLR(self.optimizer if optimizer is None else optimizer, self._factor)
        return self.lr_scheduler

    def _rollout(self, prompts: Sequence[Any], _: Any) -> dict[str, Any]:
        """A row that is not filled has one token that does not count. `dapo` divides by tokens and does not see it; `grpo` and
        `dr_grpo` divide by rows: there it counts as a solution with a loss of 0.
        """
        found = self._lesson(len(prompts))
        self._samples = [*found, *[None] * (len(prompts) - len(found))]
        pad = [self._tokenizer.pad_token_id]
        return {
            "prompt_ids": [list(each.prompt) if each else pad for each in self._samples],
            "completion_ids": [list(each.tokens) if each else pad for each in self._samples],
            "logprobs": None,
            "env_mask": [[1] * len(each.tokens) if each else [0] for each in self._samples],
        }

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        made: dict[str, Any] = super()._generate_and_score_completions(inputs)
        made["advantages"] = self._advantages(made["completion_ids"])
        return made

    def _advantages(self, ids: Tensor) -> Tensor:
        """[solutions, tokens], as `ids`."""
        found = torch.zeros(ids.shape, device=ids.device)
        for row, each in enumerate(self._samples):
            if each:
                found[row, : len(each.tokens)] = torch.tensor(each.advantages)
        return found

    def training_step(self, *arguments: Any, **more: Any) -> Any:
        """Raises `FloatingPointError` for a loss that is no number, before a step is made by it."""
        loss = super().training_step(*arguments, **more)
        if not torch.isfinite(loss):
            raise FloatingPointError("loss")
        return loss


def _nothing(completions: Sequence[Any], **_: Any) -> list[float]:
    """What TRL asks for a reward: the advantages are known already."""
    return [0.0] * len(completions)
