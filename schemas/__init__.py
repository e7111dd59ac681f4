"""What crosses a border of Retrainer: change events, feature-group contract, cycle request and result, model manifest.

Everything here is a frozen value. Nothing here reads a clock, a broker, a store or a model, so both sides of a border
can depend on it. `schemas/json` holds the exported JSON Schemas, `schemas/golden` an example of each.
"""
