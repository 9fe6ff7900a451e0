"""A classifier of token numbers: embedding, recurrent network, summary, head; accuracy, macro F1 and cross-entropy."""

# Shapes: N rows, T tokens, E size of an embedding, C classes.

from collections.abc import Mapping
from typing import cast

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.models import draw_mask, drop
from rnnbench.cells.network import RecurrentNetwork
from rnnbench.task.module import Batch, BuildNetwork, TaskData, TaskModule
from rnnbench.task.text import UNKNOWN, codec_of
from rnnbench_tasks.text_classification.rows import get_float, get_int

# Of the test split, the mistakes that are kept, and the characters of each text.
MISTAKES, SHOWN = 5, 300


class Module(TaskModule):
    """Gives every class a score; cross-entropy in nats.

    Attributes:
        embedding: A row for each token; other tasks of tokens call theirs the same, so that `start_from` finds it.
    """

    @classmethod
    def build(cls, build_network: BuildNetwork, data: TaskData, parameters: Mapping[str, Value]) -> "Module":
        """With a network whose inputs are embeddings; `data.input_size` is the number of tokens."""
        return cls(build_network(get_int(parameters, "task.embedding_size")), data, parameters)

    def __init__(self, network: RecurrentNetwork, data: TaskData, parameters: Mapping[str, Value]) -> None:
        super().__init__(network, data, parameters)
        size = get_int(parameters, "task.embedding_size")
        self.embedding = nn.Embedding(data.input_size, size)
        # Rows of length 1 on average.
        nn.init.normal_(self.embedding.weight, std=size**-0.5)
        self.classes = cast(list[str], data.preparation["classes"])
        self._codec = cast(Mapping[str, Plain], data.preparation["codec"])
        self._embedding_dropout, self._word_dropout = (get_float(parameters, f"task.{name}_dropout") for name in ("embedding", "word"))

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (N, C)."""
        embedded_NTE = self.embedding(self._drop_words(batch.inputs))
        # The same at every step, so that a part of each embedding is hidden in the whole text.
        shape_N1E = embedded_NTE.shape[0], 1, embedded_NTE.shape[2]
        embedded_NTE = drop(embedded_NTE, self._embedding_dropout, training=self.training, shape=shape_N1E)
        outputs_NTO, _ = self.network(embedded_NTE, batch.lengths)
        scores_NC: Tensor = self.head(self.network.summary(outputs_NTO, batch.lengths))
        return scores_NC

    def _drop_words(self, tokens_NT: Tensor) -> Tensor:
        """A share of the tokens is unknown in training, which also teaches what an unknown token means."""
        if not self.training or not self._word_dropout:
            return tokens_NT
        hidden_NT = draw_mask(self.embedding.weight, tokens_NT.shape, self._word_dropout).bool()
        return tokens_NT.masked_fill(hidden_NT, UNKNOWN)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy(outputs, batch.targets)

    def totals(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Summed cross-entropy, rows, and for each class how often it was there, was said, and was said rightly."""
        said = outputs.argmax(dim=1)
        counts = {"there": batch.targets, "said": said, "right": said[said == batch.targets]}
        found = {
            f"{name} {number}": count
            for name, classes in counts.items()
            for number, count in enumerate(classes.bincount(minlength=len(self.classes)).double().unbind())
        }
        loss = cross_entropy(outputs.double(), batch.targets, reduction="sum")
        return {"loss": loss, "rows": loss.new_tensor(len(batch)), **found}

    def metrics(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Accuracy, macro F1 over the classes that were there or were said, and mean cross-entropy in nats."""
        counts = [tuple(totals[f"{name} {number}"] for name in ("there", "said", "right")) for number in range(len(self.classes))]
        # F1 = 2 P R / (P + R), with P = right / said and R = right / there.
        scores = [2 * right / (there + said) for there, said, right in counts if there + said]
        right = sum(count[2] for count in counts)
        return {"accuracy": right / totals["rows"], "macro_f1": sum(scores) / len(scores), "loss": totals["loss"] / totals["rows"]}

    def examine(self, split: Batch) -> dict[str, Plain]:
        """Confusion matrix (a row for each true class), F1 of each class, the area under the ROC curve of two, and the gravest mistakes."""
        scores_NC = torch.cat([self(split.rows(rows)) for rows in self.plan_evaluation(split)])
        shares_NC = scores_NC.double().softmax(1)
        num_classes, truth_N = len(self.classes), split.targets
        counts_CC = (truth_N * num_classes + shares_NC.argmax(1)).bincount(minlength=num_classes**2).view(num_classes, num_classes)
        both_C = counts_CC.sum(0) + counts_CC.sum(1)
        found: dict[str, Plain] = {
            "confusion": {"classes": list(self.classes), "counts": counts_CC.tolist()},
            "f1": {
                self.classes[place]: float(2 * counts_CC[place, place] / both_C[place]) for place in both_C.nonzero().flatten().tolist()
            },
            "examples": self._mistakes(split, shares_NC),
        }
        if num_classes == 2 and counts_CC.sum(1).all():
            found["auc"] = float(roc_auc_score(truth_N.cpu().numpy(), shares_NC[:, 1].cpu().numpy()))
        return found

    def _mistakes(self, split: Batch, shares_NC: Tensor) -> list[Plain]:
        """The wrong answers that were surest, as words."""
        codec, lengths_N = codec_of(self._codec), split.mask().sum(1)
        sure_N, said_N = shares_NC.max(1)
        rows: list[Plain] = []
        for place in sure_N.masked_fill(said_N == split.targets, -1).argsort(descending=True, stable=True)[:MISTAKES].tolist():
            said, truth = int(said_N[place]), int(split.targets[place])
            if said != truth:
                text = codec.decode(split.inputs[place, : lengths_N[place]].tolist())
                shown = text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
                rows.append(
                    {"text": shown, "true": self.classes[truth], "said": self.classes[said], "probability": round(float(sure_N[place]), 4)}
                )
        return rows

    def start_from(self, source: TaskModule, data: TaskData) -> list[str]:
        """Embeddings, token by token, and the layers that read forwards; what that model does not have stays as it was drawn.

        Raises:
            DataError: the model has no tokens, another size of embedding, or another network.
        """
        theirs = getattr(source, "embedding", None)
        if not isinstance(theirs, nn.Embedding) or "codec" not in data.preparation:
            raise DataError("training.init_from: that model does not read tokens; choose a language model or a text classifier")
        if theirs.embedding_dim != self.embedding.embedding_dim:
            raise DataError(f"training.init_from: set task.embedding_size to {theirs.embedding_dim}, as that model has it")
        taken = self._take_network(source.network)
        places = {token: number for number, token in enumerate(codec_of(cast(Mapping[str, Plain], data.preparation["codec"])).tokens)}
        ours = codec_of(self._codec).tokens
        shared = [(number, places[token]) for number, token in enumerate(ours) if token in places]
        with torch.no_grad():
            self.embedding.weight[[number for number, _ in shared]] = theirs.weight[[place for _, place in shared]]
        return [f"embedding.weight ({len(shared)} of {len(ours)} tokens)", *taken]

    def _take_network(self, theirs: RecurrentNetwork) -> list[str]:
        weights, given = self.network.state_dict(), theirs.state_dict()
        fitting = {name: given[name] for name, weight in weights.items() if name in given and given[name].shape == weight.shape}
        if any(name.startswith("forwards.") and name not in fitting for name in (*weights, *given)):
            raise DataError("training.init_from: that model's network is another; give this one the same cell, hidden_size and num_layers")
        self.network.load_state_dict({**weights, **fitting})
        return [f"network.{name}" for name in fitting]
