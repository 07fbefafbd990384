-- What a later run of a load makes of what earlier ones landed.
CREATE TABLE $copy AS $landing
