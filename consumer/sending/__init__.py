"""How anything that waits in the ledger gets to a place of somebody else's: at least once, in order, patiently.

courier   carries from one queue of the ledger to one channel
ports     what a queue and a failure are
patience  how long to wait after a failure, and when something is given up
posting   a POST, or a look, by HTTP: no redirect, certificates verified, no secret in any word of it
signing   signatures of webhooks, as Standard Webhooks has them
webhook   one URL that gets signed messages: of model events and of notifications

Model events and notifications are carried by the same courier.
"""
