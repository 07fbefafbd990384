-- Read the dictionary's source again now, and not when its lifetime ends.
SYSTEM RELOAD DICTIONARY web_pre_aggregated_teams_dict
