"""How Django itself writes times, where no page of ours does: in the admin's lists and forms."""
