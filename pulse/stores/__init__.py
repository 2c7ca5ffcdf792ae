"""Storage behind contracts: `base` says what a store promises, one suite in tests/contracts holds all to it."""
