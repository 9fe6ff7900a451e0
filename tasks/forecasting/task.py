"""Forecasting: numeric series in windows, the next values of some columns, errors beside those of simple forecasts."""

from rnnbench_tasks.forecasting.answering import answer
from rnnbench_tasks.forecasting.baselines import baselines
from rnnbench_tasks.forecasting.checking import check_data
from rnnbench_tasks.forecasting.module import Module
from rnnbench_tasks.forecasting.reading import read_data

__all__ = ["Module", "answer", "baselines", "check_data", "read_data"]
