"""Since when a day is wrong: what is kept of gaps from one evaluation to the next."""
