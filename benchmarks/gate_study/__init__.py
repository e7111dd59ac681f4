"""How often the gate errs: by simulation, on spoiled models, and on worlds that drift (`make gate-study`)."""
