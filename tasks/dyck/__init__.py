"""Dyck: brackets of several kinds, nested to a bounded depth; which one must close next."""
