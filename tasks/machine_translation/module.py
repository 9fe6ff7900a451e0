"""A translator of the trial's cell: trained on references, tested by what it writes itself."""

# Shapes: B pairs, T target steps (beginning to last token), M valid target tokens, V target vocabulary.

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.encoder_decoder import Attention, EncoderDecoder
from rnnbench.task.module import Batch, BuildNetwork, TaskData, TaskModule
from rnnbench.task.text import Codec, pad
from rnnbench_tasks.machine_translation.decoding import Search, Translation, beam_search
from rnnbench_tasks.machine_translation.forcing import Forcing
from rnnbench_tasks.machine_translation.model import Translator
from rnnbench_tasks.machine_translation.pairs import Codecs, Pairs
from rnnbench_tasks.machine_translation.scoring import score
from rnnbench_tasks.machine_translation.values import number, whole

# Target tokens of an evaluation batch, padding included: what bounds memory is their scores for a whole vocabulary.
EVALUATION_TOKENS = 2048
# Hypotheses that a beam search follows together.
SEARCH_ROWS = 320
NUM_EXAMPLES = 10


class Module(TaskModule):
    """Cross-entropy of the reference's tokens, each given those before; see the card for the parameters."""

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "Module":
        """The encoder as `network.*` says, and a decoder like it that reads in one direction; a budget of weights is for both."""
        size, budget = whole(parameters, "task.embedding_size"), parameters.get("network.param_budget")
        half = {"param_budget": budget // 2} if isinstance(budget, int) else {}
        encoder = build_network(size, **half)
        decoder = build_network(size + encoder.output_size, bidirectional=False, pooling="last", **half)
        attention = cast(Attention, parameters["task.attention"])
        return cls(EncoderDecoder(encoder, decoder, attention), data, parameters)

    def __init__(self, networks: EncoderDecoder, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(networks.decoder, data, parameters)
        # Both are the translator's here; the decoder stays at hand as `network`, but its weights are the module's only once.
        del self.head, self.network
        object.__setattr__(self, "network", networks.decoder)
        self.codecs = Codecs.of(data.preparation)
        sizes = None if self.codecs.shared else data.input_size, data.output_size, whole(parameters, "task.embedding_size")
        dropout, tied = number(parameters, "task.embedding_dropout"), bool(parameters["task.tied"])
        self.translator = Translator(networks, sizes, dropout=dropout, tied=tied)
        self.longest = cast(int, data.preparation["longest_source"]), cast(int, data.preparation["longest_target"])
        self.forcing = Forcing.of(parameters)

    def plan_evaluation(self, split: Batch) -> Sequence[Tensor]:
        """Rows of similar length together, as many as fit."""
        assert split.target_lengths is not None, "targets are sequences of their own"
        order, batches = split.target_lengths.argsort(stable=True, descending=True), []
        while len(order):
            rows = max(1, EVALUATION_TOKENS // int(split.target_lengths[order[0]]))
            batches.append(order[:rows])
            order = order[rows:]
        return batches

    def forward(self, batch: Batch) -> Tensor:
        """Scores of the next token for every valid target token but the first, row after row, (M, V)."""
        memory, written_BT = self.translator.encode(batch.inputs, batch.lengths), batch.targets[:, :-1]
        share = self.forcing.share(self.epoch) if self.training else 1.0
        if share < 1:
            written_BT = self.translator.mix(memory, written_BT, share)
        outputs_BTD, _ = self.translator.decode(memory, written_BT)
        return self.translator.scores(outputs_BTD[_predicted(batch)])

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats per target token of the batch, with smoothed labels where they are asked for."""
        smoothing = number(self.task_parameters, "task.label_smoothing")
        return cross_entropy(outputs, batch.targets[:, 1:][_predicted(batch)], label_smoothing=smoothing)

    def loss_size(self, batch: Batch) -> Tensor:
        """Target tokens that are predicted."""
        return _predicted(batch).sum()

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed nats, right tokens, tokens, rows that are right as a whole, rows."""
        valid_BT = _predicted(batch)
        targets_M = batch.targets[:, 1:][valid_BT]
        # Nats of a token in float32, their sum in float64: scores of a whole vocabulary are not copied in float64.
        nats = cross_entropy(outputs, targets_M, reduction="none").double().sum()
        right_M = self.translator.silenced(outputs).argmax(-1) == targets_M
        wrong_B = torch.zeros(len(batch), device=outputs.device).index_add(0, valid_BT.nonzero()[:, 0], (~right_M).float())
        counts = {"right": right_M.sum(), "tokens": valid_BT.sum(), "exact": (wrong_B == 0).sum()}
        return {"nats": nats, "rows": nats.new_tensor(len(batch)), **{name: count.double() for name, count in counts.items()}}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Nats per target token by teacher forcing, ends counted; perplexity; tokens right; and rows right from beginning to end.

        The last is the exact match of greedy decoding: if each token of the reference is the likeliest after those before, it is
        what greedy decoding writes, and only then.
        """
        nll = totals["nats"] / totals["tokens"]
        return {
            "nll": nll,
            "loss": nll,
            # Where the exponential leaves the range of a float the model has diverged.
            "perplexity": math.exp(nll) if nll < math.log(1.7e308) else math.inf,
            "token_accuracy": totals["right"] / totals["tokens"],
            "exact_match": totals["exact"] / totals["rows"],
        }

    def examine(self, split: Batch) -> dict[str, Plain]:
        """BLEU, chrF and exact match of the translations by beam search, and some of them."""
        assert isinstance(split, Pairs), "read_data makes whole splits"
        size, power = whole(self.task_parameters, "task.beam_size"), number(self.task_parameters, "task.length_power")
        said = [self.codecs.target.decode(one.tokens) for one in self.translate(split.sources, size, power)]
        lowercase, tokenizer = bool(self.task_parameters["data.lowercase"]), str(self.task_parameters["task.bleu_tokenizer"])
        found = score(said, split.references, lowercase=lowercase, tokenizer=tokenizer)
        count = min(NUM_EXAMPLES, len(said))
        places = [place * len(said) // count for place in range(count)]
        examples = [{"source": split.sources[at], "reference": split.references[at], "translation": said[at]} for at in places]
        return {**found, "decoding": f"beam of {size}, log-probability by length to the power {power:g}", "examples": examples}

    def start_from(self, source: TaskModule, data: TaskData) -> list[str]:
        """Both networks and the attention, and of embeddings and head the rows of tokens that both models know.

        Raises:
            DataError: the source is no translator, or its networks are others.
        """
        if not isinstance(source, Module):
            raise DataError("training.init_from: a translator starts from a model of machine_translation, with the same cell and sizes")
        ours, theirs = self.translator.state_dict(), source.translator.state_dict()
        target, sources = _common(self.codecs.target, source.codecs.target), _common(self.codecs.source, source.codecs.source)
        rows = {"source_embedding.weight": sources, **dict.fromkeys(("target_embedding.weight", "head_weight", "head_bias"), target)}
        if _widths(ours, rows) != _widths(theirs, rows):
            raise DataError(
                "training.init_from: that model's networks differ; use its cell, network.*, task.attention, task.embedding_size, task.tied"
                " and data.shared_vocabulary"
            )
        for name, weight in theirs.items():
            if name in rows:
                here, there = rows[name]
                ours[name][here] = weight[there]
            else:
                ours[name].copy_(weight)
        counts = f"{len(target[0])} target tokens, {len(sources[0])} source tokens"
        return [f"translator.{name}" for name in ours if name not in rows] + [f"embeddings and head ({counts})"]

    def translate(self, sources: Sequence[str], beam_size: int, length_power: float = 1.0, longest: int | None = None) -> list[Translation]:
        """Translations by beam search, of any number of sources, in their order.

        Args:
            longest: Tokens of a translation; None: of a training target, and in proportion more for sources longer than any there.
        """
        numbers = [self.codecs.encode_source(source) for source in sources]
        order = sorted(range(len(numbers)), key=lambda place: len(numbers[place]))
        found: dict[int, Translation] = {}
        rows = max(1, SEARCH_ROWS // beam_size)
        for places in (order[first : first + rows] for first in range(0, len(order), rows)):
            inputs, lengths = pad([numbers[place] for place in places])
            usual = math.ceil(self.longest[1] * max(1.0, inputs.shape[1] / self.longest[0]))
            memory = self.translator.encode(inputs.to(self.device), lengths.to(self.device))
            search = Search(beam_size, usual if longest is None else longest, length_power)
            found |= dict(zip(places, beam_search(self.translator, (memory, None), len(places), search, self.device), strict=True))
        return [found[place] for place in range(len(numbers))]


def _predicted(batch: Batch) -> Tensor:
    """(B, T), true where a target token is predicted: all but the beginning and the padding."""
    assert batch.target_lengths is not None, "targets are sequences of their own"
    return torch.arange(1, batch.targets.shape[1], device=batch.targets.device) < batch.target_lengths.unsqueeze(1)


def _common(ours: Codec, theirs: Codec) -> tuple[Tensor, Tensor]:
    """Numbers of the tokens that two codecs have in common, in both; the special ones always are."""
    place = {token: number for number, token in enumerate(theirs.tokens)}
    pairs = torch.tensor([(number, place[token]) for number, token in enumerate(ours.tokens) if token in place])
    return pairs[:, 0], pairs[:, 1]


def _widths(state: Mapping[str, Tensor], rows: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights, of those with a row for each token without the number of tokens."""
    return {name: tuple(weight.shape[1:] if name in rows else weight.shape) for name, weight in state.items()}
