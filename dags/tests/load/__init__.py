"""Operation under load: are readers harmed by backfills, and do Dagster's processes stay as they are?"""
