"""Dead letters: records that could not be understood. A record becomes a letter, and a person settles the letter.

letter     a record as it came, and why it is refused; what is on record about it
store      the table: keeping letters, finding, discarding
limit      how many may be open: beyond it reading is held up
log        the lines about letters that were stored, a few a second
replay     letters are decoded again; what is understood becomes pending
publisher  the thread that copies letters to the dead-letter topic
render     letters for people and machines
"""
