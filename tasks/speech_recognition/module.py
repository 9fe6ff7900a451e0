"""A transcriber by CTC: features, a network, chances of every unit at every step; word and character errors of what is decoded.

CTC's loss is the negative logarithm of the chance of all paths that spell the transcript (Graves et al. 2006). Errors as jiwer counts them:
the fewest substitutions, deletions and insertions over a whole split, divided by its true words or characters, spaces among them.
"""

# Shapes: N rows, T steps, I inputs, O outputs of the network, U units with the blank, L longest transcript.

from collections.abc import Mapping, Sequence
from typing import Any, cast

import jiwer
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import ctc_loss

from rnnbench.base.canonical import Plain
from rnnbench.base.parameters import Value
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, BuildNetwork, TaskData
from rnnbench.task.sound_module import Augmented, SoundModule, is_augmented
from rnnbench_tasks.speech_recognition.decoding import Search, beam_search, best_path
from rnnbench_tasks.speech_recognition.language_model import LanguageModel, model_of
from rnnbench_tasks.speech_recognition.units import BLANK, Units

NUM_EXAMPLES = 10


class Module(SoundModule):
    """Writes what is said; the loss is in nats per unit."""

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "Module":
        """One that trains on disturbed sounds where the parameters say so."""
        return (AugmentedModule if is_augmented(parameters) else cls)(build_network(data.input_size), data, parameters)

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        kept: Any = data.preparation["units"]
        self.units = Units(kept["kind"], tuple(kept["units"]))
        model = cast(Mapping[str, Plain] | None, data.preparation["language_model"])
        self.language_model: LanguageModel | None = None if model is None else model_of(model)
        chosen: Any = parameters
        self.search: Search | None = None
        if chosen["task.decoding"] == "beam":
            self.search = self.choose_search(chosen["task.beam_width"], chosen["task.lm_weight"], chosen["task.unit_bonus"])

    def read(self, inputs_NTI: Tensor, steps_N: Tensor) -> Tensor:
        """Scores of every unit, (N, T, U)."""
        outputs_NTO, _ = self.network(inputs_NTI, steps_N)
        scores_NTU: Tensor = self.head(outputs_NTO)
        return scores_NTU

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats per unit over the batch."""
        assert batch.target_lengths is not None, "transcripts have lengths"
        return self._nats(outputs, batch) / batch.target_lengths.sum()

    def loss_size(self, batch: Batch) -> Tensor:
        """Units of the transcripts."""
        assert batch.target_lengths is not None, "transcripts have lengths"
        return batch.target_lengths.sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed nats and units, edits and true lengths in words and characters, rows with an error, rows."""
        assert batch.target_lengths is not None, "transcripts have lengths"
        nats = self._nats(outputs.double(), batch)
        edits = count_edits(self.truths(batch), self.transcribe(outputs, batch, self.search))
        sums = {name: nats.new_tensor(count) for name, count in edits.items()}
        return {"nats": nats, "units": batch.target_lengths.sum().double(), **sums}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Word, character and sentence error rates, 0 and up, and nats per unit."""
        return {**error_rates(totals), "loss": totals["nats"] / totals["units"]}

    def choose_search(self, width: int, weight: float, bonus: float) -> Search:
        """A beam search with the language model, where there is one and its weight is not zero."""
        return Search(width, self.language_model if weight else None, weight, bonus)

    def truths(self, batch: Batch) -> list[str]:
        """True transcripts."""
        assert batch.target_lengths is not None, "transcripts have lengths"
        pairs = zip(batch.targets.tolist(), batch.target_lengths.tolist(), strict=True)
        return [self.units.decode_truth(numbers[:length]) for numbers, length in pairs]

    def transcribe(self, outputs: Tensor, batch: Batch, search: Search | None) -> list[str]:
        """What is said in each row by its scores; without a search by the best path."""
        assert batch.lengths is not None, "rows of sound have lengths"
        steps = self.features.count_steps(batch.lengths).tolist()
        logs = outputs.detach().log_softmax(-1).cpu().numpy()
        return [self.units.decode(_decode(log_TU[:count], search)) for log_TU, count in zip(logs, steps, strict=True)]

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Error rates by every decoder, at `task.beam_width` and `task.lm_weight`, none of them chosen by this split; some transcripts."""
        chosen: Any = self.task_parameters
        width, weight, bonus = chosen["task.beam_width"], chosen["task.lm_weight"], chosen["task.unit_bonus"]
        searches: dict[str, Search | None] = {"best path": None, "beam": self.choose_search(width, 0.0, bonus)}
        if self.language_model is not None and weight:
            searches["beam and language model"] = self.choose_search(width, weight, bonus)
        truths, said = [""] * len(split), {name: [""] * len(split) for name in searches}
        for rows in self.plan_evaluation(split):
            batch = split.rows(rows)
            outputs = self(batch)
            _place(truths, rows, self.truths(batch))
            for name, search in searches.items():
                _place(said[name], rows, self.transcribe(outputs, batch, search))
        rates = {name: error_rates(count_edits(truths, texts)) for name, texts in said.items()}
        found: dict[str, Plain] = {kind: {name: rate[kind] for name, rate in rates.items()} for kind in ("wer", "cer")}
        examples = [
            {"said": truth, **{name: texts[row] for name, texts in said.items()}} for row, truth in enumerate(truths[:NUM_EXAMPLES])
        ]
        return {**found, "examples": cast(Plain, examples)}

    def _nats(self, outputs: Tensor, batch: Batch) -> Tensor:
        assert batch.lengths is not None and batch.target_lengths is not None, "sounds and transcripts have lengths"  # noqa: PT018
        log_TNU = outputs.log_softmax(-1).transpose(0, 1)
        steps_N = self.features.count_steps(batch.lengths)
        return ctc_loss(log_TNU, batch.targets, steps_N, batch.target_lengths, blank=BLANK, reduction="sum")


class AugmentedModule(Augmented, Module):
    """The same, trained on sounds with noise and masks."""


def count_edits(truths: Sequence[str], said: Sequence[str]) -> dict[str, int]:
    """Edits and true lengths, summed over rows; no true transcript may be empty."""
    words = jiwer.process_words(list(truths), list(said))
    characters = jiwer.process_characters(list(truths), list(said))
    return {
        "word_edits": words.substitutions + words.deletions + words.insertions,
        "words": words.hits + words.substitutions + words.deletions,
        "character_edits": characters.substitutions + characters.deletions + characters.insertions,
        "characters": characters.hits + characters.substitutions + characters.deletions,
        "wrong": sum(truth != text for truth, text in zip(truths, said, strict=True)),
        "rows": len(truths),
    }


def error_rates(totals: Mapping[str, float]) -> dict[str, float]:
    """Rates from summed edits."""
    return {
        "wer": totals["word_edits"] / totals["words"],
        "cer": totals["character_edits"] / totals["characters"],
        "sentence_errors": totals["wrong"] / totals["rows"],
    }


def _decode(log_TU: NDArray[np.floating], search: Search | None) -> list[int]:
    return best_path(log_TU) if search is None else beam_search(log_TU, search)


def _place(texts: list[str], rows: Tensor, found: Sequence[str]) -> None:
    for row, text in zip(rows.tolist(), found, strict=True):
        texts[row] = text
