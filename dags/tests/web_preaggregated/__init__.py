"""Tests of the builds."""
