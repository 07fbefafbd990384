-- A table like the target, projections included: parts move between the two by hard links.
CREATE TABLE $staging AS $target
