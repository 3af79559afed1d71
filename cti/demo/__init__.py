"""What a newcomer sees: demo seats, simulated callers, a live view of the terminal."""
