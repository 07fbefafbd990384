"""One lease for each (table, day): whoever builds a day holds it, and nobody else may publish there."""
