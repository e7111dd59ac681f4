"""Pages of docs/ that are written from the code: the commands (`commands`), and the events (`events`)."""
