"""What to do about what is wrong: which days are launched, in which order, after which attempts, and who stopped it."""
