"""What a fit takes and gives: against the notebook, and step by step."""
