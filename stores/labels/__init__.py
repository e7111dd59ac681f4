"""Label stores, and how what they hold is read and checked."""
