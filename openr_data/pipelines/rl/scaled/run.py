"""A run of GRPO with TRL as the trainer: our rollouts, rewards, guards, measurements and checkpoints around its loop.

Several processes (`accelerate launch`, `torchrun`) each ask their part of an update's questions with an engine of their own. What
the guards look at, and what is measured, is gathered from all of them; the first process writes.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback, TrainerCallback

from openr_data.errors import EngineError
from openr_data.models.devices import choose_device
from openr_data.models.weights import without_bars
from openr_data.pipelines.rl.config import Grpo
from openr_data.pipelines.rl.lesson import Lesson
from openr_data.pipelines.rl.measuring import held_out, measured
from openr_data.pipelines.rl.outcome import Result, concluded, ended
from openr_data.pipelines.rl.prepared import STOPPING, Listeners, Prepared, stopped_after
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.scaled.arguments import adapter, arguments
from openr_data.pipelines.rl.scaled.config import Scale
from openr_data.pipelines.rl.scaled.signals import Stop
from openr_data.pipelines.rl.scaled.weights import full_weights, plain_model
from openr_data.pipelines.rl.state import WORK, State, Writer, load_state, newest, write_metrics
from openr_data.pipelines.rl.threads import threads
from openr_data.rl.batches import Sample
from openr_data.rl.guards import reason_to_stop
from openr_data.rl.models import load_policy, save_policy
from openr_data.rl.step_trainer import StepGRPOTrainer

_TRAINER, _SCRATCH = "trainer", "trl"


class ScaledRun(TrainerCallback):  # type: ignore[misc]  # transformers is not typed for us
    """From the beginning, or from the last checkpoint. A checkpoint holds the whole policy, and in `trainer` what TRL keeps."""

    def __init__(self, prepared: Prepared, listeners: Listeners) -> None:
        self._prepared, self._listeners, self._config = prepared, listeners, prepared.config
        self._out, self._scratch = prepared.asked.out, prepared.asked.out / WORK / _SCRATCH
        self._trainer = self._built(cast(Grpo, self._config.teaching), self._config.scale or Scale())  # `checked` saw to both
        with self._trainer.args.main_process_first():  # which tidies up
            self._last = newest(self._out)
        self.state = load_state(self._last) if self._last else State()
        self._lesson = Lesson(())
        self._told: dict[str, float] = {}
        self._loaded, self._began = -1, time.monotonic()

    def go(self) -> None:
        with asyncio.Runner() as runner, Stop(lambda: self._listeners.warn(STOPPING)) as stop:
            self._runner, self._stop, stack = runner, stop, AsyncExitStack()
            try:
                self._rollouts: Rollouts = runner.run(stack.enter_async_context(self._prepared.opened()))
                self._train()
            finally:
                runner.run(stack.aclose())
        if self.state.updates < self._config.updates and not self.state.stopped:
            raise stopped_after(self.state.updates, self._config.updates)

    def finish(self) -> Result:
        """The best model into the directory, and what became of it beside it."""
        if not self._leads:
            return ended(self.state, self._config.seed)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return concluded(self._out, self.state, self._config.seed)

    # What TRL asks for.

    def _next(self, count: int) -> Sequence[Sample]:
        """The solutions of the next update."""
        self._began = time.monotonic()
        self._hand_over()
        self._lesson = self._together(self._prepared.teacher.lesson(self.state.metrics, self._rollouts))
        self._told = {"seconds_sampling": time.monotonic() - self._began}
        return self._lesson.samples

    def _factor(self, step: int) -> float:
        learn = self._config.learn
        return learn.rate_at(step // learn.steps, self._config.updates) / learn.rate

    # What TRL tells, as callbacks of transformers' Trainer: of a step, its log; then a checkpoint, where one was asked for.

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        finite = [torch.isfinite(each.grad).all() for each in self._trainer.model.parameters() if each.grad is not None]
        if finite and not torch.stack(finite).all():  # one wait for the device, however many weights there are
            raise FloatingPointError("gradient")

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        logs: dict[str, float] = more["logs"]
        if "grad_norm" not in logs:  # the summary at the end
            return
        for name, value in _told(logs).items():
            self._told[name] = self._told.get(name, 0.0) + value / self._config.learn.steps
        if state.global_step % self._config.learn.steps == 0:
            self._note()
            last = self.state.updates >= self._config.updates or bool(self.state.stopped)
            due = last or self.state.updates % self._config.evaluate_every == 0
            if due:
                self._evaluate()
            stop = self._trainer.accelerator.reduce(torch.tensor(float(self._stop.asked), device=args.device)).item() > 0
            control.should_save = due or stop or self.state.updates % self._config.save_every == 0
            control.should_training_stop = last or stop

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._save(self._scratch / f"checkpoint-{state.global_step}")

    # Parts of these.

    @property
    def _leads(self) -> bool:
        return bool(self._trainer.accelerator.is_main_process)

    def _built(self, teaching: Grpo, scale: Scale) -> StepGRPOTrainer:
        config, folder = self._config, self._prepared.folder
        device = choose_device(self._prepared.asked.limits.device)
        lora = adapter(scale)
        model = load_policy(folder, torch.device("cpu"), torch.bfloat16 if lora and scale.in_bf16 else torch.float32)
        made = StepGRPOTrainer(
            self._next,
            self._factor,
            model=model,
            args=arguments(config, teaching, scale, self._scratch, self._prepared.share[1], on_cpu=device.type == "cpu"),
            train_dataset=Dataset.from_dict({"prompt": [""] * config.updates * teaching.questions}),
            processing_class=AutoTokenizer.from_pretrained(folder, trust_remote_code=False),
            callbacks=[self],
            peft_config=lora,
        )
        made.remove_callback(PrinterCallback)
        return made

    def _train(self) -> None:
        if not self.state.evaluations:
            self._evaluate()
            self._save()
        if self.state.updates >= self._config.updates or self.state.stopped:
            return
        if self._leads:
            shutil.rmtree(self._scratch, ignore_errors=True)
        saved = self._last / _TRAINER if self._last else None
        try:
            with without_bars(), threads(self._prepared.asked.threads, self._prepared.share[1]):
                self._trainer.train(resume_from_checkpoint=str(saved) if saved and saved.is_dir() else None)
        except FloatingPointError as error:
            raise EngineError(f"the {error} is no number any more: try a lower --rate; the last checkpoint is kept") from None

    def _note(self) -> None:
        lesson, gather = self._lesson, gather_object
        groups, samples, tokens = gather(list(lesson.groups)), gather(list(map(_taught, lesson.samples))), gather([lesson.tokens])
        told = {**self._told, "seconds_learning": time.monotonic() - self._began - self._told["seconds_sampling"]}
        noted = self.state.note(groups, sum(tokens), lesson.level, told | {"learnt": sum(samples) / max(1, len(samples))})
        self.state.stopped = reason_to_stop(self.state.signs(lesson.level), self._config.guards)
        self.state.seconds += time.monotonic() - self._began
        if self._leads:
            self._listeners.on_update(self.state.updates, self._config.updates, noted)

    def _together(self, lesson: Coroutine[Any, Any, Lesson]) -> Lesson:
        """The lesson of this process; where one has none, all of them stop: nobody waits for it."""
        found, failures = Lesson(()), []
        try:
            found = self._runner.run(lesson)
        except EngineError as error:
            failures = [str(error)]
        if every := gather_object(failures):
            raise EngineError(every[0])
        return found

    def _evaluate(self) -> None:
        """Every process answers its part of the held-out questions."""
        self._hand_over()
        every, (which, parts) = self._prepared.questions.held_out, self._prepared.share
        right, tokens = self._runner.run(held_out(self._rollouts, every[which::parts]))
        found: dict[int, float | None] = dict(gather_object(list(zip(range(which, len(every), parts), right, strict=True))))
        total = sum(gather_object([tokens]))
        self.state.evaluations.append(measured(self.state.updates, ([found[place] for place in range(len(every))], total)))
        if self._leads:
            self._listeners.on_evaluation(self.state.evaluations[-1])

    def _hand_over(self) -> None:
        if self._loaded != self.state.updates:
            self._rollouts.engine.load(full_weights(self._trainer), str(self.state.updates))
            self._loaded = self.state.updates

    def _save(self, kept: Path | None = None) -> None:
        """A checkpoint, with what TRL wrote to `kept`: nothing, before the first update."""
        weights = full_weights(self._trainer)
        self._trainer.accelerator.wait_for_everyone()
        if self._leads:
            with Writer(self._out, self.state) as folder:
                if kept:
                    kept.rename(folder / _TRAINER)
                self._save_policy(folder, weights)
            write_metrics(self._out, self.state)
        self._trainer.accelerator.wait_for_everyone()

    def _save_policy(self, folder: Path, weights: Any) -> None:
        template = self._rollouts.engine.template
        prompt = (template.name, template.separator)
        save_policy(plain_model(self._trainer), self._prepared.folder, folder, prompt, weights=weights)


def _taught(sample: Sample) -> bool:
    return any(sample.advantages)


def _told(logs: dict[str, float]) -> dict[str, float]:
    names = {"loss": "loss", "grad_norm": "gradient", "learning_rate": "rate", "kl": "kl", "entropy": "entropy"}
    found = {ours: float(logs[theirs]) for theirs, ours in names.items() if theirs in logs}
    clipped = float(logs.get("clip_ratio/region_mean", 0.0))
    return {"kl": 0.0, **found, "clipped": 0.0 if math.isnan(clipped) else clipped}
