"""Sequence to sequence: padding, single steps, attention written out by hand."""

import pytest
import torch
from torch import Tensor

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.encoder_decoder import Attention, EncoderDecoder
from rnnbench.cells.table import list_cells

SOURCE_BSI = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(1))
TARGET_BTE = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2))
LENGTHS_B = torch.tensor([6, 2, 4])


def build(cell: str = "gru", attention: Attention = "additive", *, bidirectional: bool = True) -> EncoderDecoder:
    torch.manual_seed(0)
    shape: dict[str, Value] = {"network.hidden_size": 4, "network.num_layers": 2}
    encoder = build_network(cell, 2, {**shape, "network.bidirectional": bidirectional})
    decoder = build_network(cell, 5 + encoder.output_size, shape)
    return EncoderDecoder(encoder, decoder, attention).eval()


@pytest.mark.parametrize("attention", ["none", "additive", "dot"])
@pytest.mark.parametrize("cell", [entry.name for entry in list_cells()])
def test_steps_one_at_a_time_equal_teacher_forcing(cell: str, attention: Attention) -> None:
    model = build(cell, attention)
    memory, state, outputs = model.encode(SOURCE_BSI, LENGTHS_B), None, []
    for place in range(TARGET_BTE.shape[1]):
        output_B1D, state = model.decode(memory, TARGET_BTE[:, place : place + 1], state)
        outputs.append(output_B1D)
    torch.testing.assert_close(torch.cat(outputs, dim=1), model(SOURCE_BSI, TARGET_BTE, LENGTHS_B), rtol=0, atol=1e-5)


@pytest.mark.parametrize("attention", ["none", "additive", "dot"])
def test_padding_of_the_source_changes_nothing(attention: Attention) -> None:
    model, changed_BSI = build(attention=attention), SOURCE_BSI.clone()
    for row, length in enumerate(LENGTHS_B.tolist()):
        changed_BSI[row, length:] = 1e3
    torch.testing.assert_close(model(changed_BSI, TARGET_BTE, LENGTHS_B), model(SOURCE_BSI, TARGET_BTE, LENGTHS_B), rtol=0, atol=1e-6)
    alone_1TD = model(SOURCE_BSI[1:2, :2], TARGET_BTE[1:2])
    torch.testing.assert_close(model(SOURCE_BSI, TARGET_BTE, LENGTHS_B)[1:2], alone_1TD, rtol=0, atol=1e-5)


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_attention_is_the_mean_of_the_source_by_softmax_of_the_scores(attention: Attention) -> None:
    model = build(attention=attention)
    memory = model.encode(SOURCE_BSI, LENGTHS_B)
    plain_BTD, _ = model.decoder(torch.cat([TARGET_BTE, memory.summary_BM.unsqueeze(1).expand(-1, 4, -1)], dim=-1))
    weight = {name: parameter.detach() for name, parameter in model.named_parameters()}
    outputs_BTD = model(SOURCE_BSI, TARGET_BTE, LENGTHS_B)
    for row, step in ((0, 0), (1, 3), (2, 1)):
        query_D, keys_SM = plain_BTD[row, step], memory.outputs_BSM[row, : int(LENGTHS_B[row])]

        def score(key_M: Tensor, query_D: Tensor = query_D) -> Tensor:
            if attention == "dot":
                product: Tensor = (weight["attention.query.weight"] @ query_D) @ key_M
                scaled: Tensor = product * len(key_M) ** -0.5
                return scaled
            asked_D = weight["attention.query.weight"] @ query_D + weight["attention.query.bias"]
            score: Tensor = weight["attention.score.weight"][0] @ (asked_D + weight["attention.key.weight"] @ key_M).tanh()
            return score

        shares_S = torch.stack([score(key_M) for key_M in keys_SM]).softmax(0)
        seen = torch.cat([query_D, (shares_S.unsqueeze(1) * keys_SM).sum(0)])
        expected_D = (weight["combine.weight"] @ seen + weight["combine.bias"]).tanh()
        torch.testing.assert_close(outputs_BTD[row, step], expected_D, rtol=0, atol=1e-6)


def test_hypotheses_of_a_beam_see_their_own_source() -> None:
    model = build()
    memory = model.encode(SOURCE_BSI, LENGTHS_B)
    twice_BTD, _ = model.decode(memory.repeat(2), TARGET_BTE.repeat_interleave(2, dim=0))
    once_BTD, _ = model.decode(memory, TARGET_BTE)
    torch.testing.assert_close(twice_BTD[::2], once_BTD, rtol=0, atol=1e-6)
    torch.testing.assert_close(twice_BTD[1::2], once_BTD, rtol=0, atol=1e-6)


@pytest.mark.parametrize("attention", ["none", "additive", "dot"])
def test_several_targets_of_a_source_share_its_memory(attention: Attention) -> None:
    model = build(attention=attention)
    memory = model.encode(SOURCE_BSI, LENGTHS_B)
    other_BTE = TARGET_BTE.flip(1)
    both_BTD, _ = model.decode(memory, torch.stack([TARGET_BTE, other_BTE], dim=1).flatten(0, 1))
    for place, target_BTE in enumerate((TARGET_BTE, other_BTE)):
        torch.testing.assert_close(both_BTD[place::2], model.decode(memory, target_BTE)[0], rtol=0, atol=1e-6)


def test_a_network_may_differ_from_the_trials_parameters_in_what_is_named() -> None:
    shape: dict[str, Value] = {"network.hidden_size": 4, "network.num_layers": 2, "network.bidirectional": True}
    changed = build_network("gru", 3, shape, bidirectional=False, num_layers=1)
    assert (changed.output_size, len(changed.forwards), len(changed.backwards)) == (4, 1, 0)
    with pytest.raises(AssertionError, match="no such parameter"):
        build_network("gru", 3, shape, bidrectional=False)


def test_a_decoder_reads_in_one_direction() -> None:
    network = build_network("gru", 3, {"network.hidden_size": 4, "network.num_layers": 1, "network.bidirectional": True})
    with pytest.raises(ValueError, match="bidirectional must be false"):
        EncoderDecoder(network, network)
