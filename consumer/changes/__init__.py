"""What is pending: users and labels that changed and that no cycle has learned yet.

change    what the events of one user or label come to
kinds     users and labels: where the changes of each kind are kept
pending   changes become pending
portions  what is pending as a whole, claimed as a whole; its figures
"""
