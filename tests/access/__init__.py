"""Who acts and what they may: rules, use cases and the audit log."""
