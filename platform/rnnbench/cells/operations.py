"""What a step does to a vector as a whole: recurrent matrix products and normalisations. Everything else in a step is elementwise."""

# Shapes: B rows, H one part of a vector (a gate, a state), V argument and P result of an operation, T steps.
# Every tensor may carry a leading model axis N.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnbench.cells.models import drop

Operands = tuple[Tensor, ...]
Parts = tuple[Tensor, ...]
_normalisation_backward = torch.ops.aten.native_layer_norm_backward.default


@dataclass(frozen=True)
class Product:
    """A recurrent matrix product, v R + b, for some gates.

    Attributes:
        name: The cell's parameters are called `weight_<name>`, (P, V), and `bias_<name>`, (P,).
        num_gates: Parts of the result.
        shared: Whether the input's share of these gates is added. Shared operations take the first gates, in the order of `operations`.
        bias: Whether it has a bias of its own, beside that of the input's share.
        num_inputs: Parts of the argument.
        input_sized: "argument" or "result" where that is as long as the input instead of a multiple of H.
        num_results, num_arguments: P and V where they are neither; 0: see above.
    """

    name: str
    num_gates: int = 1
    shared: bool = True
    bias: bool = False
    num_inputs: int = 1
    input_sized: str = ""
    num_results: int = 0
    num_arguments: int = 0

    def register(self, cell: nn.Module, inputs: int, units: int) -> None:
        """Gives the cell the parameters."""
        num_results = self.num_results or (inputs if self.input_sized == "result" else self.num_gates * units)
        num_arguments = self.num_arguments or (inputs if self.input_sized == "argument" else self.num_inputs * units)
        cell.register_parameter(f"weight_{self.name}", nn.Parameter(torch.empty(num_results, num_arguments)))
        if self.bias:
            cell.register_parameter(f"bias_{self.name}", nn.Parameter(torch.empty(num_results)))

    def operands(self, cell: nn.Module) -> Operands:
        """R as it stands right of the vector, and the bias as a row."""
        weight = recurrent_weight(cell, f"weight_{self.name}").mT
        return (weight, weight_of(cell, f"bias_{self.name}").unsqueeze(0)) if self.bias else (weight,)

    def apply(self, v_BV: Tensor, operands: Operands) -> Tensor:
        """The result, (B, P), without the input's share."""
        return v_BV @ operands[0] + operands[1] if self.bias else v_BV @ operands[0]

    def write(self, out_BP: Tensor, v_BV: Tensor, operands: Operands) -> None:
        """The same outside autograd: added to the input's share, which `out_BP` holds, or written there."""
        if not self.shared:
            multiply(out_BP, v_BV, operands[0])
        else:
            add_product(out_BP, v_BV, operands[0])
        if self.bias:
            out_BP.add_(operands[1])

    def look(self, v_TBV: Tensor) -> Parts:
        """What gradients need of the arguments of many steps."""
        return (v_TBV,)

    def steps(self, seen: Parts) -> Sequence[Parts]:
        """What `pull` needs of that, for each step: nothing."""
        return [()] * len(seen[0])

    def pull(self, grad_BP: Tensor, _seen: Parts, operands: Operands) -> Tensor:
        """From the gradient of the result to that of the argument, (B, V)."""
        return grad_BP @ operands[0].mT

    def add_pull(self, sum_BV: Tensor, grad_BP: Tensor, _seen: Parts, operands: Operands) -> None:
        """Adds that gradient to `sum_BV`."""
        add_product(sum_BV, grad_BP, operands[0].mT)

    def add_gradients(self, sums: Sequence[Tensor], grad_TBP: Tensor, seen: Parts, _operands: Operands) -> None:
        """Adds the operands' gradients over a block of steps to `sums`."""
        add_steps(sums[0].mT, grad_TBP, seen[0])
        if self.bias:
            sums[1].add_(sum_rows(grad_TBP))


@dataclass(frozen=True)
class Scale:
    """A vector of weights times a state, added to a gate after the products: a peephole, an independent recurrence.

    Attributes:
        name: The cell's parameter is called `scale_<name>`, (H,).
        gate: Place of the gate.
    """

    name: str
    gate: int
    num_gates = 1
    shared = True

    def register(self, cell: nn.Module, _inputs: int, units: int) -> None:
        """See Product."""
        cell.register_parameter(f"scale_{self.name}", nn.Parameter(torch.empty(units)))

    def operands(self, cell: nn.Module) -> Operands:
        """The weights as a row."""
        return (weight_of(cell, f"scale_{self.name}").unsqueeze(0),)

    def apply(self, v_BV: Tensor, operands: Operands) -> Tensor:
        """See Product."""
        return v_BV * operands[0]

    def write(self, out_BP: Tensor, v_BV: Tensor, operands: Operands) -> None:
        """See Product."""
        out_BP.addcmul_(v_BV, operands[0])

    def look(self, v_TBV: Tensor) -> Parts:
        """See Product."""
        return (v_TBV,)

    def steps(self, seen: Parts) -> Sequence[Parts]:
        """See Product."""
        return [()] * len(seen[0])

    def pull(self, grad_BP: Tensor, _seen: Parts, operands: Operands) -> Tensor:
        """See Product."""
        return grad_BP * operands[0]

    def add_pull(self, sum_BV: Tensor, grad_BP: Tensor, _seen: Parts, operands: Operands) -> None:
        """See Product."""
        sum_BV.addcmul_(grad_BP, operands[0])

    def add_gradients(self, sums: Sequence[Tensor], grad_TBP: Tensor, seen: Parts, _operands: Operands) -> None:
        """See Product."""
        sums[0].add_(sum_rows(grad_TBP * seen[0]))


@dataclass(frozen=True)
class Normalisation:
    """Layer normalisation over a whole vector. Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.

    Torch's own wants each vector in one piece; those of many models are not, see `empty_steps`, and are faster by elementwise calls.

    Attributes:
        name: The cell's parameters are called `gain_<name>` and `shift_<name>`, (V,).
        num_gates: Parts of the vector.
        shift: Whether it has one.
        shared: See Product.
    """

    name: str
    num_gates: int = 1
    shift: bool = False
    shared: bool = False
    eps = 1e-5

    def register(self, cell: nn.Module, _inputs: int, units: int) -> None:
        """See Product."""
        cell.register_parameter(f"gain_{self.name}", nn.Parameter(torch.empty(self.num_gates * units)))
        if self.shift:
            cell.register_parameter(f"shift_{self.name}", nn.Parameter(torch.empty(self.num_gates * units)))

    def operands(self, cell: nn.Module) -> Operands:
        """Gain and shift, each as a row."""
        gain_1V = weight_of(cell, f"gain_{self.name}").unsqueeze(0)
        return (gain_1V, weight_of(cell, f"shift_{self.name}").unsqueeze(0)) if self.shift else (gain_1V,)

    def apply(self, v_BV: Tensor, operands: Operands) -> Tensor:
        """The result, (B, V)."""
        if v_BV.dim() == 2:
            gain_V, shift_V = operands[0].squeeze(0), operands[1].squeeze(0) if self.shift else None
            return nn.functional.layer_norm(v_BV, v_BV.shape[-1:], gain_V, shift_V, self.eps)
        result_BV = self._standardise(v_BV)[0] * operands[0]
        return result_BV + operands[1] if self.shift else result_BV

    def _standardise(self, v_BV: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors without their mean in units of their deviation, and the inverse of that, (B, 1)."""
        centred_BV = v_BV - v_BV.mean(-1, keepdim=True)
        rstd_B1 = (centred_BV.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        return centred_BV * rstd_B1, rstd_B1

    def write(self, out_BP: Tensor, v_BV: Tensor, operands: Operands) -> None:
        """See Product."""
        if v_BV.dim() == 3:
            standard_BV = self._standardise(v_BV)[0]
            if self.shared:
                out_BP.addcmul_(standard_BV, operands[0])
            else:
                torch.mul(standard_BV, operands[0], out=out_BP)
            if self.shift:
                out_BP.add_(operands[1])
        elif self.shared:
            out_BP.add_(self.apply(v_BV, operands))
        else:
            out_BP.copy_(self.apply(v_BV, operands))

    def look(self, v_TBV: Tensor) -> Parts:
        """The argument, its mean and the inverse of its deviation; of many models the standardised argument and the last."""
        if v_TBV.dim() == 4:
            return self._standardise(v_TBV)
        _, mean_TB1, rstd_TB1 = torch.native_layer_norm(v_TBV, v_TBV.shape[-1:], None, None, self.eps)
        return v_TBV, mean_TB1, rstd_TB1

    def steps(self, seen: Parts) -> Sequence[Parts]:
        """All of it."""
        return list(zip(*(part.unbind(0) for part in seen), strict=True))

    def pull(self, grad_BP: Tensor, seen: Parts, operands: Operands) -> Tensor:
        """See Product."""
        if grad_BP.dim() == 2:
            v_BV, mean_B1, rstd_B1 = seen
            gain_V = operands[0].squeeze(0)
            back = _normalisation_backward(grad_BP, v_BV, v_BV.shape[-1:], mean_B1, rstd_B1, gain_V, None, [True, False, False])
            assert isinstance(back[0], Tensor)
            return back[0]
        standard_BV, rstd_B1 = seen
        scaled_BV = grad_BP * operands[0]
        along_B1 = (scaled_BV * standard_BV).mean(-1, keepdim=True)
        return scaled_BV.sub_(scaled_BV.mean(-1, keepdim=True)).addcmul_(standard_BV, along_B1, value=-1).mul_(rstd_B1)

    def add_pull(self, sum_BV: Tensor, grad_BP: Tensor, seen: Parts, operands: Operands) -> None:
        """See Product."""
        sum_BV.add_(self.pull(grad_BP, seen, operands))

    def add_gradients(self, sums: Sequence[Tensor], grad_TBP: Tensor, seen: Parts, operands: Operands) -> None:
        """See Product."""
        if grad_TBP.dim() == 3:
            v_TBV, mean_TB1, rstd_TB1 = seen
            gain_V, shift_V = operands[0].squeeze(0), operands[1].squeeze(0) if self.shift else None
            mask = [False, True, self.shift]
            found = _normalisation_backward(grad_TBP, v_TBV, v_TBV.shape[-1:], mean_TB1, rstd_TB1, gain_V, shift_V, mask)[1:]
        else:
            found = sum_rows(grad_TBP * seen[0]), sum_rows(grad_TBP)
        for total, part in zip(sums, found, strict=False):
            total.add_(part)


@dataclass(frozen=True)
class Kept:
    """The next value of a state, from which the step computes further: the chain of gradients then has a link here.

    It changes no number. Without it the derivatives of everything behind it are found again for everything before it.
    """

    name: str
    num_gates = 1
    shared = False

    def register(self, _cell: nn.Module, _inputs: int, _units: int) -> None:
        """See Product."""

    def operands(self, _cell: nn.Module) -> Operands:
        """None."""
        return ()

    def apply(self, v_BV: Tensor, _operands: Operands) -> Tensor:
        """The same vector."""
        return v_BV

    def look(self, v_TBV: Tensor) -> Parts:
        """See Product."""
        return (v_TBV,)

    def steps(self, seen: Parts) -> Sequence[Parts]:
        """See Product."""
        return [()] * len(seen[0])

    def pull(self, grad_BP: Tensor, _seen: Parts, _operands: Operands) -> Tensor:
        """See Product."""
        return grad_BP

    def add_pull(self, sum_BV: Tensor, grad_BP: Tensor, _seen: Parts, _operands: Operands) -> None:
        """See Product."""
        sum_BV.add_(grad_BP)

    def add_gradients(self, _sums: Sequence[Tensor], _grad_TBP: Tensor, _seen: Parts, _operands: Operands) -> None:
        """See Product."""


Written = Product | Scale | Normalisation
Operation = Written | Kept


class Weights:
    """What a step computes with: the cell's operations, each with its operands by its name."""

    def __init__(self, operations: Mapping[str, Operation], operands: Mapping[str, Operands]) -> None:
        self.operations = operations
        self.operands = operands
        self.shared_gates = _shared_gates(operations)

    def apply(self, name: str, v_BH: Tensor | Parts, gates: Parts = ()) -> Parts:
        """The result of one of the cell's operations, in parts.

        Args:
            v_BH: What it is applied to, or its parts.
            gates: What the operation adds to: for a shared product the input's share of all gates, for a scale its gate.
        """
        operation = self.operations[name]
        result_BP = operation.apply(v_BH if isinstance(v_BH, Tensor) else torch.cat(v_BH, dim=-1), self.operands[name])
        parts = result_BP.chunk(operation.num_gates, dim=-1) if operation.num_gates > 1 else (result_BP,)
        if not operation.shared:
            return parts
        shares = gates if isinstance(operation, Scale) else gates[self.shared_gates[name]]
        return tuple(share_BH + part_BH for share_BH, part_BH in zip(shares, parts, strict=True))

    def scale(self, name: str, v_BH: Tensor, gate_BH: Tensor) -> Tensor:
        """The gate plus a vector of weights times v; see Scale."""
        return self.apply(name, v_BH, (gate_BH,))[0]

    def normalise(self, name: str, v_BH: Tensor) -> Tensor:
        """See Normalisation; for a vector of one part."""
        return self.apply(name, v_BH)[0]

    def keep(self, name: str, value_BH: Tensor) -> Tensor:
        """See Kept."""
        return self.apply(name, value_BH)[0]


def weight_of(cell: nn.Module, name: str) -> Tensor:
    """A parameter by its name; under torch.func it may be any tensor."""
    weight = getattr(cell, name)
    assert isinstance(weight, Tensor)
    return weight


def recurrent_weight(cell: nn.Module, name: str) -> Tensor:
    """A recurrent matrix, some of its weights zero where the cell's `weight_drop` says so and it trains."""
    return drop(weight_of(cell, name), getattr(cell, "weight_drop", 0.0), training=cell.training)


def _shared_gates(operations: Mapping[str, Operation]) -> dict[str, slice]:
    """Which gates each operation adds to: a scale's own, and of the products each the next."""
    found, first = {}, 0
    for name, operation in operations.items():
        if isinstance(operation, Scale):
            found[name] = slice(operation.gate, operation.gate + 1)
        elif operation.shared:
            found[name] = slice(first, first + operation.num_gates)
            first += operation.num_gates
    return found


def empty_steps(like_TB: Tensor, steps: int, size: int) -> Tensor:
    """Room for so many steps, (T, B, size), or (T, N, B, size) where `like_TB` has models.

    Many models lie in memory with rows innermost: a part of a vector is then in one piece, which tanh and sigmoid take faster.
    """
    if like_TB.dim() == 3:
        return like_TB.new_empty(steps, like_TB.shape[1], size)
    return like_TB.new_empty(steps, like_TB.shape[1], size, like_TB.shape[2]).mT


def stack_steps(steps: Sequence[Tensor]) -> Tensor:
    """Tensors of single steps, (B, H) or (N, B, H), in room as `empty_steps` makes it."""
    return torch.stack(list(steps)) if steps[0].dim() == 2 else torch.stack([step.mT for step in steps]).mT


def copy_steps(x_TBV: Tensor) -> Tensor:
    """The same steps in room as `empty_steps` makes it."""
    return empty_steps(x_TBV, len(x_TBV), x_TBV.shape[-1]).copy_(x_TBV)


def project_steps(x_TBI: Tensor, weight_GI: Tensor, bias_G: Tensor) -> Tensor:
    """W x + b for all steps."""
    if x_TBI.dim() == 3:
        return nn.functional.linear(x_TBI, weight_GI, bias_G)
    if torch.is_grad_enabled():
        return torch.stack([torch.baddbmm(bias_G.unsqueeze(1), x_BI, weight_GI.mT) for x_BI in x_TBI.unbind(0)])
    gates_TBG = empty_steps(x_TBI, len(x_TBI), weight_GI.shape[-2])
    for x_BI, gates_BG in zip(x_TBI.unbind(0), gates_TBG.unbind(0), strict=True):
        gates_BG.mT.copy_(bias_G.unsqueeze(-1)).baddbmm_(weight_GI, x_BI.mT)
    return gates_TBG


def pull_steps(out_TBI: Tensor, grad_TBG: Tensor, weight_GI: Tensor) -> None:
    """Writes grad W for all steps: the way back through `project_steps`."""
    if out_TBI.dim() == 3:
        torch.mm(grad_TBG.flatten(0, 1), weight_GI, out=out_TBI.flatten(0, 1))
        return
    for out_BI, grad_BG in zip(out_TBI.unbind(0), grad_TBG.unbind(0), strict=True):
        torch.bmm(weight_GI.mT, grad_BG.mT, out=out_BI.mT)


def add_steps(sum_PV: Tensor, grad_TBP: Tensor, v_TBV: Tensor) -> None:
    """Adds the gradient of a weight (P, V): the products grad^T v of all steps."""
    if sum_PV.dim() == 2:
        sum_PV.addmm_(grad_TBP.flatten(0, 1).mT, v_TBV.flatten(0, 1))
        return
    for grad_BP, v_BV in zip(grad_TBP.unbind(0), v_TBV.unbind(0), strict=True):
        sum_PV.baddbmm_(grad_BP.mT, v_BV)


def multiply(out_AC: Tensor, left_AB: Tensor, right_BC: Tensor) -> None:
    """Writes a matrix product, or one for each model."""
    if out_AC.dim() == 2:
        torch.mm(left_AB, right_BC, out=out_AC)
    else:
        torch.bmm(right_BC.mT, left_AB.mT, out=out_AC.mT)


def add_product(sum_AC: Tensor, left_AB: Tensor, right_BC: Tensor) -> None:
    """Adds a matrix product, or one for each model, in place."""
    if sum_AC.dim() == 2:
        sum_AC.addmm_(left_AB, right_BC)
    elif sum_AC.mT.is_contiguous():
        sum_AC.mT.baddbmm_(right_BC.mT, left_AB.mT)
    else:
        # Into some of many models' gates torch would add model by model, a call and its views for each.
        sum_AC.mT.add_(torch.bmm(right_BC.mT, left_AB.mT))


def sum_rows(x_TBV: Tensor) -> Tensor:
    """The sum over all steps and rows, as a row: (1, V), or (N, 1, V)."""
    return x_TBV.sum((0, -2)).unsqueeze(-2)
