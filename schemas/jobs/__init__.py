"""Requests and answers of trainers' processes beside cycles: explain a user, train again, export, compute vectors."""
