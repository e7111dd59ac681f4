"""A server of similar users that follows the champion: it takes each new version without a query failing.

Copy this folder and change it; nothing else imports it but tests and a benchmark. README.md tells how it works.

events      which version is champion, by the model events of a topic
vectors     the candidate vectors, of a vector set or computed
served      what is served, and where it lies
matching    which vectors the queries of a version may meet
worker      a process that holds a model and its vectors, and answers
serving     takes another version or set: starts its worker, points to it, lets the old one finish
web         HTTP
"""
