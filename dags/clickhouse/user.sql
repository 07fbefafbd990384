-- Who the user of the connection is, as a statement names it.
-- Grain   one row
SELECT currentUser() AS user
