"""What holds for late source data, whichever door it comes by: what is declared, what maps to what, how it lands."""
