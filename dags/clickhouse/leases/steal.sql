-- Take a lease from a dead holder, in one step: there is no moment at which it is free.
EXCHANGE TABLES $bid AND $lease
