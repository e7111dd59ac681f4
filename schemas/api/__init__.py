"""What the HTTP API takes and gives: docs/api.md.

orders   what a person orders, as it is sent
answers  what is answered
"""
