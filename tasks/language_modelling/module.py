"""The network of a language model: embedding, recurrent layers whose state is carried from window to window, scores of every token."""

# Shapes: N rows (streams), T steps, E embedding, O network output, V vocabulary.

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.models import drop
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.cells.step import State
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.text import UNKNOWN, codec_of
from rnnbench_tasks.language_modelling.decoding import Sampling, Writer, continue_tokens
from rnnbench_tasks.language_modelling.windows import NOTHING, Windows, plan_streams

# Places of a text that are read at once when it is evaluated: fixed, so that a metric is always the same reading. Every place but the
# first lacks what stands before it, which costs some 6 nats each on Shakespeare: 0.0007 nats per character of its validation text.
EVALUATION_STREAMS = 8
# What a confirmed trial writes by itself, at each temperature.
SAMPLE_TOKENS = 200
SAMPLE_TEMPERATURES = (0.5, 0.8, 1.0)
# Of the uniform distribution that embeddings are drawn from (Zaremba et al. 2014, arXiv:1409.2329; Merity et al. 2018).
_EMBEDDING_BOUND = 0.1


class LanguageModel(TaskModule):
    """Truncated back-propagation through time: a window goes on from the state that the one before left, without its gradient.

    The dropouts and activation penalties are those of Merity et al. 2018, arXiv:1708.02182 (AWD-LSTM), tied embeddings those of
    Press and Wolf 2017, arXiv:1608.05859.

    Attributes:
        embedding: Of every token, (V, E).
    """

    carries_state = True

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        if network.bidirectional:
            raise ParameterError("network.bidirectional: a language model predicts what a backward direction has read; set it to false")
        kept = data.preparation["codec"]
        assert isinstance(kept, dict), "what a codec wrote"
        self.codec = codec_of(kept)
        self.writer = Writer(self.codec, of_characters=kept["kind"] == "char")
        self.embedding = nn.Embedding(data.output_size, data.input_size)
        nn.init.uniform_(self.embedding.weight, -_EMBEDDING_BOUND, _EMBEDDING_BOUND)
        self.project: nn.Module = nn.Identity()
        if parameters["task.tied"]:
            if network.output_size != data.input_size:
                self.project = nn.Linear(network.output_size, data.input_size, bias=False)
            self.head = nn.Linear(data.input_size, data.output_size)
            self.head.weight = self.embedding.weight
            nn.init.zeros_(self.head.bias)

    def plan_epoch(self, train: Batch, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
        """The text at `batch_size` places at once; the same in every epoch."""
        return plan_streams(len(train), batch_size)

    def plan_evaluation(self, split: Batch) -> Sequence[Tensor]:
        """The text at a fixed number of places at once."""
        return plan_streams(len(split), EVALUATION_STREAMS)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of every token, (N, T, V), going on from what is carried."""
        return self.score(self.read(batch))

    def read(self, batch: Batch) -> Tensor:
        """Outputs of the network, (N, T, O); carries its state on."""
        state = None
        if self.carried is not None:
            assert len(batch) <= len(self.carried[0][0]), "the streams that go on are the first of those before"
            # Streams that have ended are the last ones.
            state = [tuple(part[: len(batch)] for part in layer) for layer in self.carried]
        outputs_NTO: Tensor
        outputs_NTO, after = self.network(self.embed(batch.inputs), batch.lengths, state)
        self.carried = [tuple(part.detach() for part in layer) for layer in after]
        return outputs_NTO

    def embed(self, tokens_NT: Tensor) -> Tensor:
        """Embedded tokens, (N, T, E): in training with words dropped as a whole, then features for a whole window."""
        words = self._share("task.embedding_dropout")
        weight_VE = drop(self.embedding.weight, words, training=self.training, shape=(len(self.embedding.weight), 1))
        x_NTE = embedding(tokens_NT, weight_VE)
        return drop(x_NTE, self._share("task.input_dropout"), training=self.training, shape=(len(x_NTE), 1, x_NTE.shape[2]))

    def score(self, outputs_NTO: Tensor) -> Tensor:
        """Scores of every token."""
        scores_NTV: Tensor = self.head(self.project(outputs_NTO))
        return scores_NTV

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean nats per token."""
        return cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), ignore_index=NOTHING)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss and the penalties on the network's outputs: on their size, and on how they change from step to step."""
        outputs_NTO = self.read(batch)
        loss = self.loss(self.score(outputs_NTO), batch)
        if size := self._share("task.activation_reg"):
            loss = loss + size * outputs_NTO.square().mean()
        if (change := self._share("task.temporal_reg")) and outputs_NTO.shape[1] > 1:
            loss = loss + change * outputs_NTO.diff(dim=1).square().mean()
        return loss

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed nats, tokens, and the characters that they stand for."""
        assert isinstance(batch, Windows), "a text is read as windows"
        # Nats of a token in float32, their sum in float64: scores of a large vocabulary are not copied in float64.
        nats = cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), ignore_index=NOTHING, reduction="none").double().sum()
        return {"nats": nats, "tokens": (batch.targets != NOTHING).sum().double(), "characters": batch.characters.sum().double()}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Nats per token, which is the loss; perplexity over all tokens; bits per character of the text."""
        nll = totals["nats"] / totals["tokens"]
        bits = totals["nats"] / totals["characters"] / math.log(2)
        # Where the exponential leaves the range of a float the model has diverged.
        perplexity = math.exp(nll) if nll < math.log(1.7e308) else math.inf
        return {"nll": nll, "perplexity": perplexity, "bits_per_character": bits, "loss": nll}

    def start_from(self, source: TaskModule, data: TaskData) -> list[str]:
        """The network's weights, each token's own embedding, and of a language model each token's own scores.

        Raises:
            DataError: the networks differ, or the source reads no tokens.
        """
        theirs, kept = getattr(source, "embedding", None), data.preparation.get("codec")
        if not isinstance(theirs, nn.Embedding) or not isinstance(kept, dict):
            raise DataError("training.init_from: that model reads no tokens; start from a language model or a text classifier")
        taken = super().start_from(source, data)
        known = {token: number for number, token in enumerate(codec_of(kept).tokens)}
        places = [place for place, token in enumerate(self.codec.tokens) if token in known]
        their_places = [known[self.codec.tokens[place]] for place in places]
        what = f"{len(places)} of {self.embedding.num_embeddings} tokens"
        with torch.no_grad():
            self.embedding.weight[places] = theirs.weight[their_places]
            if not isinstance(source, LanguageModel) or self.is_tied() != source.is_tied():
                return [*taken, f"embedding.weight ({what})"]
            self.head.weight[places] = source.head.weight[their_places]
            self.head.bias[places] = source.head.bias[their_places]
            self.project.load_state_dict(source.project.state_dict())
        return [*taken, f"embedding.weight and head ({what})"]

    def is_tied(self) -> bool:
        """Whether a token's embedding is its row of the head too."""
        return self.head.weight is self.embedding.weight

    def next_scores(self, tokens: Sequence[int], state: Sequence[State] | None) -> tuple[Tensor, Sequence[State]]:
        """Scores (V,) of the token behind these, going on from a state, and the state to go on from; nothing is carried."""
        outputs_1TO, state = self.network(self.embed(torch.tensor([tokens])), None, state)
        return self.score(outputs_1TO[:, -1])[0], state

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Perplexity over the tokens that are in the vocabulary, and samples of what the model writes by itself."""
        nats, tokens = 0.0, 0
        for rows in self.plan_evaluation(split):
            batch = split.rows(rows)
            nats_T = cross_entropy(self(batch).flatten(0, 1), batch.targets.flatten(), ignore_index=NOTHING, reduction="none")
            known_T = (batch.targets.flatten() != UNKNOWN) & (batch.targets.flatten() != NOTHING)
            nats += float(nats_T[known_T].double().sum())
            tokens += int(known_T.sum())
        self.carried = None
        found: dict[str, Plain] = {"perplexity_of_known_tokens": math.exp(nats / tokens)} if tokens else {}
        return {**found, "examples": [*map(self._sample, SAMPLE_TEMPERATURES)]}

    def _sample(self, temperature: float) -> dict[str, Plain]:
        prompt = self.writer.prompt("")
        said = continue_tokens(self.next_scores, prompt, SAMPLE_TOKENS, Sampling(temperature), self.writer.banned(), seed=0)
        return {"temperature": temperature, "text": self.writer.write(prompt, said)}

    def _share(self, name: str) -> float:
        value = self.task_parameters[name]
        assert isinstance(value, float), "checked when the sweep file was read"
        return value
