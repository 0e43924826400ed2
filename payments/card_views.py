"""The cards that a student has saved, and their removal."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from marketplace import clock
from marketplace.lib.access import signed_in
from payments import selectors, services
from payments.errors import CardNeeded, NoSuchCard


@login_required
@never_cache
@require_GET
def cards(request: HttpRequest) -> HttpResponse:
    return render(request, "payments/cards.html", {"rows": selectors.card_rows(signed_in(request))})


@login_required
@require_POST
def remove_card(request: HttpRequest, card_id: int) -> HttpResponse:
    try:
        services.remove_card(user=signed_in(request), card_id=card_id, now=clock.now())
    except NoSuchCard:
        raise Http404 from None
    except CardNeeded as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The card is removed. We can't charge it any more.")
    return redirect("payments:cards")
