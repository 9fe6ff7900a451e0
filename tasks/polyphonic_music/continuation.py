"""How a piece goes on: frame after frame, drawn from a model's probabilities or its most likely notes."""

# Shapes: T frames, K = 88 keys.

import torch
from torch import Tensor

from rnnbench.cells.step import State
from rnnbench.task.answers import Answer, Question
from rnnbench.task.module import TaskData, TaskModule
from rnnbench_tasks.polyphonic_music.notes import name_note
from rnnbench_tasks.polyphonic_music.pieces import Piece, read_pieces
from rnnbench_tasks.polyphonic_music.rolls import LOWEST


def answer(module: TaskModule, data: TaskData, question: Question) -> Answer:
    """The next frames of each piece, as MIDI numbers in the form that a piece is read in.

    Raises:
        DataError: a file is no piece.
    """
    length, temperature, seed = (question.options[name] for name in ("length", "temperature", "seed"))
    assert isinstance(length, int), "checked by the card"
    assert isinstance(temperature, float), "checked by the card"
    assert isinstance(seed, int), "checked by the card"
    pieces = [piece for path in question.files for piece in read_pieces(path, path.name)]
    rows = []
    for piece in pieces:
        generator = torch.Generator().manual_seed(seed)
        for number, frame_K in enumerate(continue_piece(module, piece, length, temperature, generator), len(piece.roll) + 1):
            midi = [LOWEST + key for key in frame_K.nonzero().flatten().tolist()]
            names = " ".join(map(name_note, midi))
            rows.append({"piece": piece.name, "frame": number, "notes": " ".join(map(str, midi)), "names": names})
    # One piece is told as a text that can be read as a piece again.
    text = "\n".join(str(row["notes"]) for row in rows) if len(pieces) == 1 else ""
    return Answer(rows, text=text)


@torch.inference_mode()
def continue_piece(module: TaskModule, piece: Piece, length: int, temperature: float, generator: torch.Generator) -> Tensor:
    """The next `length` frames, (length, K), of 0 and 1.

    Args:
        temperature: The logits are divided by it; at 0 a key sounds where its chance is above one half.
    """
    frames_1TK = torch.from_numpy(piece.roll).unsqueeze(0)
    state: list[State] | None = None
    found = []
    for _ in range(length):
        outputs_1TO, state = module.network(frames_1TK.to(module.head.weight.dtype), state=state)
        logits_K = module.head(outputs_1TO[:, -1]).squeeze(0)
        if temperature > 0:
            chance_K = (logits_K / temperature).sigmoid()
            frame_K = torch.rand(len(chance_K), generator=generator, dtype=chance_K.dtype) < chance_K
        else:
            frame_K = logits_K > 0
        found.append(frame_K.to(torch.uint8))
        frames_1TK = found[-1].view(1, 1, -1)
    return torch.stack(found)
