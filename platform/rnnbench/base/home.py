"""Where a user's results live: one folder with databases, checkpoints, artifacts and reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.store import Address, Store, open_store


@dataclass(frozen=True)
class Home:
    """The results folder.

    Attributes:
        path: Absolute.
        store_address: Of the S3 store that keeps the checkpoints and models; None: they stay in the folder.
    """

    path: Path
    store_address: str | None = None

    @classmethod
    def at(cls, option: str | None, environ: Mapping[str, str], checkpoints: str | None = None) -> "Home":
        """The folder of `--home`, else of $RNNBENCH_HOME, else ./runs, with the store of `--checkpoints`, else of $RNNBENCH_CHECKPOINTS.

        Raises:
            InputError: the store's address is none.
        """
        path = Path(option or environ.get("RNNBENCH_HOME") or "runs").expanduser().absolute()
        address = checkpoints or environ.get("RNNBENCH_CHECKPOINTS") or None
        if address is not None:
            Address.parse(address, environ)
        return cls(path, address)

    @property
    def store(self) -> Store:
        """What keeps the files of trials."""
        return open_store(self.store_address)

    @property
    def ledger_file(self) -> Path:
        """The ledger, an SQLite file."""
        return self.path / "rnnbench.db"

    @property
    def ledger_url(self) -> str:
        """Its address."""
        return f"sqlite:///{self.ledger_file}"

    @property
    def has_results(self) -> bool:
        """Whether anything ran here: its ledger is there."""
        return self.ledger_file.exists()

    @property
    def tracking_uri(self) -> str:
        """Address of MLflow's own database, an SQLite file."""
        return f"sqlite:///{self.path / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps artifacts."""
        return self.path / "artifacts"

    @property
    def stops(self) -> Path:
        """Where a sweep that is to stop says so to its trials."""
        return self.path / "stops"

    @property
    def checkpoints(self) -> Path:
        """Where the folders of all trials are, on this machine."""
        return self.path / "checkpoints"

    def submissions(self, name: str) -> Path:
        """Where the job files, records and logs of a sweep that was handed to a cluster are."""
        return self.path / "submissions" / name

    def report_folder(self, name: str) -> Path:
        """Where a sweep's report is written."""
        return self.path / "reports" / name

    def trial_folder(self, key: str) -> Path:
        """Where a trial works; a trial exists once, however many sweeps hold it."""
        return self.checkpoints / key[:2] / key
