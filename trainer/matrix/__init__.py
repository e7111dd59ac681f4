"""Users as rows: who they are, how their columns are scaled, and the matrix of their directions."""
