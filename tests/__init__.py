"""Tests, laid out as the packages are. `programs` finds outside programs, `servers` starts them."""
