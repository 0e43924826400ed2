"""A student at Stripe: one customer for each person, made before the first purchase."""

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction

from marketplace.models import User
from payments import gateway, operations
from payments.errors import PaymentsUnavailable
from payments.gateway import GatewayError
from payments.models import Customer, Operation
from payments.operations import KindHandler
from payments.stripe_objects import CustomerFacts


def ensure_customer(*, user: User, now: datetime) -> Customer:
    """The person's customer, made once however many requests ask. Network: call it outside any transaction.

    Raises PaymentsUnavailable where Stripe does not answer; what was begun is finished by the sweeper.
    """
    known = Customer.objects.filter(user=user).first()
    if known:
        return known
    operations.run_or_await(_write_down(user, now).pk, now=now)
    made = Customer.objects.filter(user=user).first()
    if made is None:
        raise PaymentsUnavailable
    return made


def _write_down(user: User, now: datetime) -> Operation:
    operation_id = uuid.uuid4()
    params = {
        "email": user.email,
        "name": user.name,
        "metadata": {"user_id": str(user.pk), "operation_id": str(operation_id)},
    }
    try:
        with transaction.atomic():
            return operations.create_for_own_run(
                Operation.Kind.CREATE_CUSTOMER, operation_id=operation_id, params=params, user=user, now=now
            )
    except IntegrityError:
        # Another request was first: its operation is ours too.
        return Operation.objects.filter(kind=Operation.Kind.CREATE_CUSTOMER, user=user).latest("created_at")


def _send(operation: Operation) -> CustomerFacts:
    return gateway.create_customer(params=operation.params, key=operation.idempotency_key)


def _look_up(operation: Operation) -> CustomerFacts | None:
    return gateway.find_customer(operation_id=str(operation.pk), email=operation.params["email"])


def _record(operation: Operation, customer: CustomerFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    Customer.objects.create(user=User.objects.get(stripe_operations=operation), stripe_customer_id=customer.id)
    return customer.id


def _refuse(operation: Operation, error: GatewayError, now: datetime) -> None:
    """Nothing to undo: the person is told by whoever asked, and may try again."""


operations.register(Operation.Kind.CREATE_CUSTOMER, KindHandler(_send, _look_up, _record, _refuse))
