"""Tests of detection and decision."""
