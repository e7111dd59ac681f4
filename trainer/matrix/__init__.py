"""Users as rows: ids, scaling of columns, and the matrix of directions."""
