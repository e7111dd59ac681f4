"""Records that could not be understood, once they are in the ledger.

settings   how many may be open, and the dead-letter topic
judging    what a letter says today
publisher  the thread that copies letters to the dead-letter topic
showing    letters for people and machines
"""
