"""Optuna in two processes over one journal file, each trial by Lightning, without tracking."""

import multiprocessing
from pathlib import Path

import optuna
from model import Best, Task, fit, print_best, read_task
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def work(task: Task, threads: int = 1) -> None:
    """Takes trials until all are done."""
    import torch

    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-6, 1.0, log=True)
        best = Best(trial.report)
        fit(task.data, lr, [best])
        return best.accuracy

    stop = optuna.study.MaxTrialsCallback(len(task.rates), states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING))
    optuna.load_study(study_name="digits", storage=open_storage(task.scratch)).optimize(objective, callbacks=[stop])


def open_storage(scratch: Path) -> JournalStorage:
    """The journal that both processes share."""
    return JournalStorage(JournalFileBackend(str(scratch / "optuna.journal")))


def main() -> None:
    """Every trial, two at a time on two cores."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task = read_task()
    study = optuna.create_study(study_name="digits", storage=open_storage(task.scratch), direction="maximize")
    for lr in task.rates:
        study.enqueue_trial({"lr": lr})
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(task,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    values = {trial.params["lr"]: trial.value for trial in study.trials if trial.value is not None}
    print_best([values[lr] for lr in task.rates if lr in values])


if __name__ == "__main__":
    main()
