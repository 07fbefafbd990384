"""Tests; the folders mirror those of ``dags``."""
