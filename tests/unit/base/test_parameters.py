"""A declared parameter checks what it is given."""

import pytest

from rnnbench.base.errors import ParameterError
from rnnbench.base.parameters import Parameter, Value

LR = Parameter("optimizer.lr", "float", 1e-3, "learning rate", above=0.0, high=10.0)
SIZE = Parameter("network.hidden_size", "int", 64, "units", low=1, high=100)
CLIP = Parameter("training.clip_norm", "float", None, "norm", above=0.0)
NAME = Parameter("optimizer.name", "choice", "adam", "which", choices=("adam", "sgd"))
FLAG = Parameter("optimizer.nesterov", "bool", False, "nesterov", when={"optimizer.name": ("sgd",)})


@pytest.mark.parametrize(
    ("parameter", "given", "value"), [(LR, 1, 1.0), (SIZE, 100, 100), (CLIP, None, None), (NAME, "sgd", "sgd"), (FLAG, True, True)]
)
def test_a_good_value_is_returned_in_the_parameters_type(parameter: Parameter, given: object, value: Value) -> None:
    checked = parameter.check(given)
    assert checked == value
    assert type(checked) is type(value)


@pytest.mark.parametrize(
    ("parameter", "given", "message"),
    [
        (LR, 0.0, "optimizer.lr is 0, must be a number above 0 to 10"),
        (LR, float("nan"), "optimizer.lr is nan, must be a number above 0 to 10"),
        (LR, "fast", "optimizer.lr is 'fast', must be a number above 0 to 10"),
        (LR, None, "optimizer.lr is null, must be a number above 0 to 10"),
        (SIZE, 0, "network.hidden_size is 0, must be a whole number from 1 to 100"),
        (SIZE, True, "network.hidden_size is True, must be a whole number from 1 to 100"),
        (SIZE, 2.0, "network.hidden_size is 2.0, must be a whole number from 1 to 100"),
        (CLIP, -1.0, "training.clip_norm is -1, must be a number above 0 or null"),
        (NAME, "adm", "optimizer.name is 'adm', must be one of adam, sgd; did you mean 'adam'?"),
        (FLAG, 1, "optimizer.nesterov is 1, must be true or false"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(parameter: Parameter, given: object, message: str) -> None:
    with pytest.raises(ParameterError) as error:
        parameter.check(given)
    assert str(error.value) == message


def test_a_parameter_exists_only_beside_the_values_it_names() -> None:
    assert FLAG.is_active({"optimizer.name": "sgd"})
    assert not FLAG.is_active({"optimizer.name": "adam"})
    assert not FLAG.is_active({})
