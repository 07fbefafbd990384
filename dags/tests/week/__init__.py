"""A week of operation on a real server, by a clock that is moved: did people hear of what was so, and of no more?"""
