-- Take a lease that nobody has: refused (code 57) if somebody has.
RENAME TABLE $bid TO $lease
