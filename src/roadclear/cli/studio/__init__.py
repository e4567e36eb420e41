"""`roadclear studio`: the command, and what it hands to the page: training, findings and the export."""
