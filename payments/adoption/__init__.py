"""After a backup was restored: what Stripe knows of us and this database does not is taken over, in Stripe's order.

All of it goes by the same `record_*` as ever. What a lost operation has made is remembered as that operation, so that
nobody takes it for unknown again, nor asks for it a second time.
"""

from payments.adoption.adopt import Adopted, adopt

__all__ = ["Adopted", "adopt"]
