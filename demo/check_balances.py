#!/usr/bin/env python3
"""Recomputes every balance from the call records and the price list, independently of tollkeeper.

    check_balances.py TARIFF_DIR RECORDS.jsonl ACCOUNTS.json

ACCOUNTS.json: {"account": {"start": "1.00", "end": "0.30"}}. Exact arithmetic only. Says what it found for each
account; exit code 0 only if every price and every balance is right to the last unit.
"""

import csv
import json
import sys
from fractions import Fraction

CUT_TOLERANCE_MS = 1000


def rows(folder, name):
    with open(f"{folder}/{name}", newline="", encoding="utf-8") as file:
        return [row for row in csv.reader(file) if row and not row[0].startswith("#")]


def seconds(text):
    assert text.endswith("s"), text
    return Fraction(text[:-1])


def price_list(folder):
    """Prefix to (connect fee, rate, rate unit in s, increment in s)."""
    rates = {row[0]: row for row in rows(folder, "Rates.csv")}
    by_destination = {row[1]: rates[row[2]] for row in rows(folder, "DestinationRates.csv")}
    prices = {}
    for destination, prefix in rows(folder, "Destinations.csv"):
        _, fee, rate, unit, increment, _ = by_destination[destination]
        prices[prefix] = (Fraction(fee), Fraction(rate), seconds(unit), seconds(increment))
    return prices


def price(prices, number, used_ms):
    digits = number.lstrip("+")
    prefix = max((p for p in prices if digits.startswith(p)), key=len)
    fee, rate, unit, increment = prices[prefix]
    steps = -(-Fraction(used_ms, 1000) // increment)
    if steps == 0:
        return Fraction(0)
    exact = fee + steps * rate * increment / unit
    return Fraction(-(-exact * 10000 // 1), 10000)  # *up, 4 decimals


def milliseconds(text):
    return int(Fraction(text) * 1000)


def main(folder, records_path, accounts_path):
    prices = price_list(folder)
    with open(records_path, encoding="utf-8") as file:
        # Numbers stay text: a float would round.
        records = [json.loads(line, parse_float=str) for line in file if line.strip()]
    with open(accounts_path, encoding="utf-8") as file:
        accounts = json.load(file)
    spent = {account: Fraction(0) for account in accounts}
    faults = []
    seen = set()
    for record in records:
        if record["recordId"] in seen or record["recordType"] != "STOP" or "cost" not in record:
            continue
        seen.add(record["recordId"])
        used_ms = milliseconds(str(record["duration"]))
        overrun_ms = record.get("overrunMs", 0)
        if record.get("releaseCause") == "CREDIT_EXHAUSTED" and overrun_ms <= CUT_TOLERANCE_MS:
            used_ms -= overrun_ms
        expected = price(prices, record["calledParty"]["number"], used_ms)
        charged = Fraction(record["cost"]["amount"])
        if expected != charged:
            faults.append(f"{record['callId']}: {used_ms} ms cost {float(expected)}, charged {float(charged)}")
        spent[record["callingParty"]["subscriberId"]] += expected
    for account, balances in sorted(accounts.items()):
        left = Fraction(balances["start"]) - spent[account]
        right = left == Fraction(balances["end"])
        print(f"{account}: {balances['start']} - {float(spent[account])} = {float(left)}, tollkeeper says {balances['end']}"
              f"{'' if right else '  WRONG'}")
        if not right:
            faults.append(f"{account}: balance should be {float(left)}, is {balances['end']}")
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
