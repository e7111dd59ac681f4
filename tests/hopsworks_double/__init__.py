"""A Hopsworks cluster in this process, for the unmodified SDK: what a real one is known to answer, and no more.

README.md beside this file says what it stands in for, how to start one, and how to make something fail.
"""

from tests.hopsworks_double.double import HopsworksDouble
from tests.hopsworks_double.faults import Action, Call, Drop, ErrorRow, Fault, LoseReply, Stall, Status
from tests.hopsworks_double.spec import ClusterSpec, KafkaAccess, Variants

__all__ = [
    "Action",
    "Call",
    "ClusterSpec",
    "Drop",
    "ErrorRow",
    "Fault",
    "HopsworksDouble",
    "KafkaAccess",
    "LoseReply",
    "Stall",
    "Status",
    "Variants",
]
