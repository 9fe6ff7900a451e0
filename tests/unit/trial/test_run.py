"""What a trial changes in its process, and that it puts it back: other code runs there after it."""

import sys

import pytest
import torch

from rnnbench.trial.settings import torch_settings


def test_a_trial_trains_with_denormals_flushed_and_its_share_of_threads() -> None:
    before = torch.get_num_threads()
    with torch_settings(before + 1):
        assert torch.get_num_threads() == before + 1
        assert torch.are_deterministic_algorithms_enabled()
        assert (torch.tensor(1e-38) / 1000).item() == 0.0


def test_the_process_is_left_as_it_was_also_after_a_failure() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ValueError, match="a failure"), torch_settings(before[0] + 1):
        raise ValueError("a failure")
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert (torch.tensor(1e-38) / 1000).item() != 0.0
    assert sys.float_info.min / 2 != 0.0
