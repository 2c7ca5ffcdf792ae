"""The indicators as people ask for them: figures from the ledger, turned into answers."""
