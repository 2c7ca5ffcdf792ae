"""Tests of pulse.sharing."""
