"""Loaded by the emulator's Python. DynamoDB keeps 38 digits of a number; ministack adds numbers in
Python's default context of 28, which cuts the packed entries of a bucket."""

import decimal

decimal.DefaultContext.prec = 60
decimal.getcontext().prec = 60
