"""The exams that models sit: by similarity, and by outcomes."""
