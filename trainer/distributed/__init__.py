"""Work of a trainer on the nodes of a Ray cluster: the same results, from more processors."""
