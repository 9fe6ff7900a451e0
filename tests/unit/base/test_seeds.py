"""Named random streams."""

from rnnbench.base.seeds import child


def test_the_same_names_give_the_same_seed_on_every_machine() -> None:
    # Frozen: a change here changes every sweep ever planned.
    assert child(0, "draw", 3, "optimizer.lr") == 5905758281088077547


def test_names_are_not_concatenated() -> None:
    assert len({child(0, "ab", "c"), child(0, "a", "bc"), child(0, "abc"), child(0, 1, "1"), child(0, "1", 1)}) == 5


def test_every_root_and_number_gives_its_own_seed() -> None:
    seeds = {child(root, "order", epoch) for root in range(20) for epoch in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
