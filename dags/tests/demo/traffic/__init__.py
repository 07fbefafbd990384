"""Tests of what turns web traffic into rows of ``events``."""
