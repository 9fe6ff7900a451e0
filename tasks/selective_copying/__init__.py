"""Selective copying: the symbols among blanks are to be kept, the blanks are not."""
