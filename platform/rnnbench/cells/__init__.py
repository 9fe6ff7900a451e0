"""Recurrent cells: equations written once, fast forms beside them, and networks built around any cell."""
