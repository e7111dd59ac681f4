"""Page, API, health and metrics by HTTP, in a thread of the service; nothing that a client does stops the service.

server      the thread: listens at the address, tries again where it cannot, stops within seconds
connection  one connection: how long a request may take to arrive and an answer to be taken, and how many there are
app         which address is answered by what
guard       what every request passes: names of hosts, headers of answers, faults of ours
problems    what an answer says that is no success
reading     the ledger is asked in a few threads, for a limited time
answers     status, cycles, versions, reports
readiness   whether this instance is ready
orders      what a person with the token orders
pages       files of the page for people, and reports
"""
