"""Dialects: each turns the bytes of one kind of device into `pulse.messages.Message`, or refuses them."""
