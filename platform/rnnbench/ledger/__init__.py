"""The truth about every sweep and trial, in one SQL database."""
