"""What a person should look at: doubtful labels, look-alikes that disagree, and photos the model is unsure of."""

from roadclear.triage.confident import Suspicion, suspects

__all__ = ["Suspicion", "suspects"]
