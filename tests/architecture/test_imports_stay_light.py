"""What must start fast, or run in a process without torch, imports nothing heavy, directly or indirectly."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rnnbench.ledger.records import SweepRecord
from rnnbench.ledger.store import Ledger
from rnnbench.trial.spec import TrialSpec
from tests.architecture.source_files import PLATFORM

HEAVY = {"lightning", "matplotlib", "mlflow", "pandas", "ray", "scipy", "sklearn", "sqlalchemy", "torch"}
# Layers and modules that handle descriptions of trials, never tensors.
PLAIN_LAYERS = ("base", "search", "ledger")
PLAIN_MODULES = (
    "rnnbench.cells.table",
    "rnnbench.cells.network_parameters",
    "rnnbench.task.catalogue",
    "rnnbench.task.question",
    "rnnbench.task.sources",
    "rnnbench.trial.job",
    "rnnbench.trial.kept",
    "rnnbench.trial.parameters",
    "rnnbench.trial.spec",
)


def read_loaded(program: str) -> set[str]:
    """Top-level names in sys.modules after a program ran in a fresh process."""
    ending = "\nprint('\\nloaded', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", "import sys\n" + program + ending], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def find_plain_modules() -> list[str]:
    files = [path for layer in PLAIN_LAYERS for path in sorted((PLATFORM / layer).rglob("*.py")) if "migrations" not in path.parts]
    dotted = [".".join(path.relative_to(PLATFORM.parent).with_suffix("").parts).removesuffix(".__init__") for path in files]
    return [*dotted, *PLAIN_MODULES]


def test_help_of_the_command_line_loads_no_heavy_library() -> None:
    program = "sys.argv = ['rnnbench', '--help']\nfrom rnnbench.cli.app import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert read_loaded(program) & HEAVY == set()


def test_status_loads_neither_the_databases_library_nor_torch(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'rnnbench.db'}") as ledger:
        sweep = SweepRecord("one", "one.yaml", "", {}, {}, datetime(2026, 1, 2, tzinfo=UTC))
        ledger.record_sweep(sweep, [TrialSpec("search", "adding", 1, "generated", "f", "lstm", 1, {}, 1)])
    program = (
        f"sys.argv = ['rnnbench', 'status', 'one', '--home', {str(tmp_path)!r}]\n"
        "from rnnbench.cli.app import main\nsys.exit = lambda code: None\nmain()"
    )
    assert read_loaded(program) & HEAVY == set()


def test_the_package_loads_no_library_before_a_model_is_asked_for() -> None:
    assert read_loaded("import rnnbench\nassert callable(rnnbench.load)") & HEAVY == set()


def test_modules_of_plain_data_load_no_torch() -> None:
    program = "import importlib\n" + "\n".join(
        f"importlib.import_module({name!r}); assert 'torch' not in sys.modules, {name!r}" for name in find_plain_modules()
    )
    assert "torch" not in read_loaded(program)


def test_listing_cells_and_tasks_loads_no_torch_and_no_code_of_a_task() -> None:
    program = (
        "from rnnbench.cells.table import list_cells\nfrom rnnbench.task.catalogue import list_tasks\nlist_cells()\nlist_tasks()\n"
        "assert not [name for name in sys.modules if name.startswith('rnnbench_tasks.')]"
    )
    assert "torch" not in read_loaded(program)


def test_a_trial_without_a_store_of_objects_loads_no_library_for_one(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom rnnbench.base.home import Home\nimport rnnbench.trial.run, rnnbench.trial.group\n"
        f"assert Home(Path({str(tmp_path)!r})).store.list_all(Path({str(tmp_path)!r})) == {{}}"
    )
    assert "pyarrow" not in read_loaded(program)
