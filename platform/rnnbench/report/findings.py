"""What a comparison's trials say beyond its tables: what mattered, where trials were lost, how steady training was."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rnnbench.report.axes import Scale
from rnnbench.report.curves import Epochs
from rnnbench.report.divergence import Share, Spots, find_shares, find_spots
from rnnbench.report.importance import Importance, find_importance, why_not
from rnnbench.report.pairs import Pair, find_pairs
from rnnbench.report.peers import Peer, find_peers
from rnnbench.report.steadiness import Order, Steadiness, find_steadiness, order_cells, order_trials, settled_after
from rnnbench.report.tables import Comparison, Summary


@dataclass(frozen=True)
class Findings:
    """Of one comparison; a cell that is missing from a mapping has nothing to tell there.

    Attributes:
        peers: What Optuna's evaluators say of the same trials.
        shares: How many trials diverged, by decade of the learning rate.
        trial_orders, cell_order: When the final order was there.
    """

    importances: Sequence[Importance]
    peers: Mapping[str, Sequence[Peer]]
    shares: Mapping[str, Sequence[Share]]
    spots: Sequence[Spots]
    steadiness: Mapping[str, Steadiness]
    trial_orders: Mapping[str, Order]
    cell_order: Order | None
    pairs: Sequence[Pair]


def find_out(comparison: Comparison, epochs: Epochs, scales: Mapping[str, Scale]) -> Findings:
    """All of it."""
    rows = comparison.rows
    importances = [one for row in rows if (one := find_importance(row, scales))]
    orders = {row.cell: order for row in rows if (order := order_trials(row, epochs))}
    return Findings(
        importances,
        {row.cell: peers for row in rows if (peers := find_peers(row, scales))},
        {row.cell: shares for row in rows if (shares := find_shares(row))},
        [spots for row in rows if (spots := find_spots(row, importances))],
        {row.cell: find_steadiness(row, epochs) for row in rows},
        orders,
        order_cells(comparison, epochs),
        find_pairs(comparison),
    )


def describe(row: Summary, found: Findings) -> dict[str, Any]:
    """One cell's part as plain data."""
    order = found.trial_orders.get(row.cell)
    return {
        "importance": _importance(row, found),
        "diverged_by_rate": [asdict(share) for share in found.shares.get(row.cell, ())],
        "steadiness": asdict(found.steadiness[row.cell]),
        "order": describe_order(order) if order else None,
    }


def describe_order(order: Order) -> dict[str, Any]:
    """An order as plain data."""
    return asdict(order) | {"settled_after": settled_after(order)}


def _importance(row: Summary, found: Findings) -> dict[str, Any]:
    """What mattered for a cell, or why its trials do not tell."""
    one = next((one for one in found.importances if one.cell == row.cell), None)
    if one is None:
        return {"why_not": why_not(row)}
    basin = asdict(one.basin) | {"decades": one.basin.decades} if one.basin else None
    return {"why_not": None} | asdict(one) | {"basin": basin, "peers": [asdict(peer) for peer in found.peers.get(row.cell, ())]}
