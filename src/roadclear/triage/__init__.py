"""What a person should look at: doubtful labels, look-alikes that disagree, and photos the model is unsure of.

Confident learning finds the doubtful labels, findings puts everything in an order, table and page show it, decisions
reads what a person decided, and applying carries that out by the journal of cleaning.
"""

from roadclear.triage.applying import Applied, apply_decisions, undo
from roadclear.triage.confident import Suspicion, suspects
from roadclear.triage.examining import Triage, check_out, triage, write_triage
from roadclear.triage.findings import Case, Entry, Reason

__all__ = [
    "Applied",
    "Case",
    "Entry",
    "Reason",
    "Suspicion",
    "Triage",
    "apply_decisions",
    "check_out",
    "suspects",
    "triage",
    "undo",
    "write_triage",
]
