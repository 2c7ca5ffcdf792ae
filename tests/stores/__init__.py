"""What single stores do beyond their contracts, which are in tests/contracts."""
