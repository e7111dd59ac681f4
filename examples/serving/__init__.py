"""A server of similar users that follows the champion: it takes each new version without a query failing.

Copy this folder and change it; nothing else imports it but tests and a benchmark. README.md tells how it works.

events      which version is champion, by the model events of a topic
vectors     the candidate vectors of a version
worker      a process that holds one version, model and vectors together, and answers
serving     takes another version: starts its worker, points to it, lets the old one finish
web         HTTP
"""
