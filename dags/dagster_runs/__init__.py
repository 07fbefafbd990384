"""What Dagster's runs of this location share: tags, the client they hold, and the lock that shows that they live."""
