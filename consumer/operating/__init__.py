"""What a person sees of a service and its ledger, and orders of it: the same by the command line and by HTTP.

state      which words of the service still go with the ledger
overview   what `retrainer status --json` and the API say
records    an order, a promotion and the model events, as both give them
orders     an order that came from elsewhere than the command line is carried out
"""
