"""Storage behind contracts: `base` says what a store promises, suites in tests/contracts hold all to it."""
