"""What docker-compose.yml starts, started as plain processes."""
