-- Wait until this server has the parts that others wrote until now, and not for merges; for as long as the setting
-- `receive_timeout` says (code 159 past it).
SYSTEM SYNC REPLICA $table LIGHTWEIGHT
