"""Forecasting: the next values of one or several numeric series."""
