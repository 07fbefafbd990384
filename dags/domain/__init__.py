"""The words that all rooms share: days, units, watched tables, clocks, texts, errors. Pure."""
