-- A plain copy of a target table, for the peer to fill.
CREATE TABLE $peer AS $target
