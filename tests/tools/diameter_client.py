#!/usr/bin/env python3
"""A packet gateway made of python-diameter; shares no code with tollkeeper.

    diameter_client.py HOST PORT PEER DESTINATION

Connects as pgw.example.net to PEER at HOST:PORT. Each line of standard input is one request for DESTINATION, as JSON:
{"session": "s", "type": 1, "number": 0, "context": "32251@3gpp.org", "msisdn": "49170",
 "groups": [{"group": 10, "used": 0, "asked": 5000000}], "action": 0, "units": 1, "after": 2}; groups, action, units and after (seconds from now, for
the Event-Timestamp) may be absent; asked 0: as much as the server sees fit. Each line of standard output is an answer, {"answer": number, "code": ..., "groups": [...]}, or a request of the
server, {"request": "RAR"}, which is answered 2001. Ends with the input, and with a DPR.
"""

import datetime
import json
import logging
import sys

from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    RequestedServiceUnit,
    SubscriptionId,
    UsedServiceUnit,
)
from diameter.message.commands import CreditControlRequest
from diameter.message.constants import (
    APP_DIAMETER_CREDIT_CONTROL_APPLICATION,
    E_RESULT_CODE_DIAMETER_SUCCESS,
    VENDOR_TGPP,
)
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

HOST = "pgw.example.net"
REALM = "example.net"


def say(**words):
    print(json.dumps(words), flush=True)


def on_request(app, message):
    say(request={258: "RAR", 274: "ASR"}.get(message.header.command_code, str(message.header.command_code)))
    answer = app.generate_answer(message, result_code=E_RESULT_CODE_DIAMETER_SUCCESS)
    answer.session_id = message.session_id
    return answer


def request(words, destination):
    ccr = CreditControlRequest()
    ccr.session_id = words["session"]
    ccr.origin_host, ccr.origin_realm = HOST.encode(), REALM.encode()
    ccr.destination_realm, ccr.destination_host = REALM.encode(), destination.encode()
    ccr.auth_application_id = APP_DIAMETER_CREDIT_CONTROL_APPLICATION
    ccr.service_context_id = words["context"]
    ccr.cc_request_type, ccr.cc_request_number = words["type"], words["number"]
    # Whole seconds on the wire: a test must not pass so many of them.
    after = datetime.timedelta(seconds=words.get("after", 0))
    ccr.event_timestamp = datetime.datetime.now(datetime.timezone.utc) + after
    ccr.subscription_id = [SubscriptionId(subscription_id_type=0, subscription_id_data=words["msisdn"])]
    if words["type"] == 4:
        ccr.requested_action = words["action"]
        ccr.requested_service_unit = RequestedServiceUnit(cc_service_specific_units=words["units"])
    ccr.multiple_services_credit_control = [mscc(group) for group in words.get("groups", [])]
    return ccr


def mscc(words):
    group = MultipleServicesCreditControl(rating_group=words["group"])
    if "asked" in words:
        asked = words["asked"]
        group.requested_service_unit = RequestedServiceUnit(cc_total_octets=asked) if asked else RequestedServiceUnit()
    if words.get("used"):
        group.used_service_unit = [UsedServiceUnit(cc_total_octets=words["used"])]
    return group


def told(group):
    granted = group.granted_service_unit.cc_total_octets if group.granted_service_unit else None
    return [group.rating_group, group.result_code, granted, group.final_unit_indication is not None]


def main():
    host, port, peer_host, destination = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    node = Node(HOST, REALM, vendor_ids=[VENDOR_TGPP])
    peer = node.add_peer(f"aaa://{peer_host}:{port}", REALM, ip_addresses=[host], is_persistent=True, is_default=True)
    app = SimpleThreadingApplication(
        APP_DIAMETER_CREDIT_CONTROL_APPLICATION, is_auth_application=True, request_handler=on_request
    )
    node.add_application(app, [peer])
    node.start()
    app.wait_for_ready(timeout=20)
    say(ready=True)
    for line in sys.stdin:
        words = json.loads(line)
        answer = app.send_request(request(words, destination), timeout=20)
        groups = [told(group) for group in answer.multiple_services_credit_control or []]
        say(answer=words["number"], code=answer.result_code, groups=groups)
    node.stop(wait_timeout=10)


if __name__ == "__main__":
    main()
