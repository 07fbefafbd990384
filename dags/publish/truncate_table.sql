-- What was moved out of a day is known to be no more than the old day: it goes.
TRUNCATE TABLE $staging
