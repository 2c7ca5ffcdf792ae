"""One suite a contract, run over every back end that promises it."""
