"""The pages of one statement: review, finalise, void, credit, payments by hand, the link, and the list's filters."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.domain import checkouts, credit
from billing.domain import statements as domain
from billing.domain.payments import record_payment
from billing.models import BalanceEntry, BillingStatement, Payment
from billing.tests.factories import DECLINED, make_customer, make_open_statement, make_statement, submit_card
from customers.domain import update_customer
from dashboard import events
from dashboard.models import Event

pytestmark = pytest.mark.django_db
ACTIONS = [
    "finalize",
    "delete",
    "duplicate",
    "void",
    "uncollectible",
    "fulfil",
    "unfulfil",
    "metadata",
    "record_payment",
    "apply_credit",
]


def url(name, statement):
    return reverse(f"billing:statement_{name}", args=[statement.pk])


def send(client, name, statement, **data):
    """Open an action's page, then send its form as a browser does."""
    form = client.get(url(name, statement)).context["form"]
    hidden = {f.html_name: f.value() for f in form.hidden_fields()}
    return client.post(url(name, statement), {k: v for k, v in (hidden | data).items() if v is not None}, follow=True)


def page(client, statement):
    return unescape(client.get(statement.get_absolute_url()).text)


def fresh(statement):
    return BillingStatement.objects.get(pk=statement.pk)


def give(customer, amount=1000, by=None):
    credit.adjust_credit(customer, amount=amount, currency="USD", reason="Goodwill", by=by)


# --- who may, and when ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ACTIONS)
def test_those_who_do_not_run_billing_do_nothing_here(as_sue, as_rita, name):
    statement = make_open_statement()

    for client in (as_sue, as_rita):
        assert client.get(url(name, statement)).status_code == client.post(url(name, statement)).status_code == 403
    assert fresh(statement).status == "open"


@pytest.mark.parametrize("name", ACTIONS)
def test_looking_at_an_action_changes_nothing(as_max, name):
    statement = make_statement() if name in ("finalize", "delete") else make_open_statement()
    before = BillingStatement.objects.values().get(), Event.objects.count()

    assert as_max.get(url(name, statement)).status_code == 200

    assert (BillingStatement.objects.values().get(), Event.objects.count()) == before


@pytest.mark.parametrize(
    ("status", "offered", "missing"),
    [
        ("draft", {"finalize", "edit", "delete", "duplicate"}, {"send", "void", "record_payment", "uncollectible", "fulfil"}),
        ("open", {"send", "void", "record_payment", "uncollectible", "fulfil", "duplicate"}, {"finalize", "edit", "delete"}),
        ("paid", {"fulfil", "duplicate"}, {"send", "void", "record_payment", "uncollectible", "finalize", "delete"}),
        ("void", {"duplicate"}, {"send", "void", "record_payment", "uncollectible", "finalize", "delete", "fulfil"}),
        ("uncollectible", {"send", "void", "record_payment", "fulfil"}, {"uncollectible", "finalize", "delete"}),
    ],
)
def test_the_page_offers_what_the_status_allows(as_max, max, status, offered, missing):
    statement = make_statement() if status == "draft" else make_open_statement()
    if status == "paid":
        record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=max)
    if status == "void":
        domain.void_statement(statement, reason="Wrong", by=max)
    if status == "uncollectible":
        domain.mark_uncollectible(statement, by=max)

    shown = page(as_max, statement)

    assert {n for n in offered | missing if f'"{url(n, statement)}"' in shown} == offered


# --- finalise ---------------------------------------------------------------------------------------------------
def test_the_review_shows_what_the_customer_gets_and_its_number(as_max):
    statement = make_statement(make_customer(billing_statement_prefix="HARBOUR"))

    shown = unescape(as_max.get(url("finalize", statement)).text)

    assert shown.count("HARBOUR-0001") >= 2
    assert "Payment for Billing Statement HARBOUR-0001" in shown
    assert "Coffee beans, 5 kg" in shown
    assert "Finalise statement" in shown


def test_finalising_from_the_page_gives_number_and_link(as_max, max):
    statement = make_statement()

    answer = send(as_max, "finalize", statement)

    assert f"{fresh(statement).number} is finalised" in answer.text
    assert fresh(statement).url in answer.text
    assert Event.objects.get(type="billing_statement.open").by == max


def test_the_second_of_two_is_told_who_was_first(as_max, as_alice, alice):
    statement = make_statement()
    version = as_max.get(url("finalize", statement)).context["form"]["version"].value()
    send(as_alice, "finalize", statement)

    answer = as_max.post(url("finalize", statement), {"version": version})

    assert answer.status_code == 422
    assert "Alice finalised it on" in answer.text
    assert Event.objects.filter(type="billing_statement.open").count() == 1


def test_a_draft_changed_since_one_looked_is_looked_at_again(as_max):
    statement = make_statement()
    domain.update_draft(statement, version=1, by=None, lines=[("Tea", 1, 900)])

    answer = as_max.post(url("finalize", statement), {"version": 1}, follow=True)

    assert fresh(statement).status == "draft"
    assert "was changed while you looked" in answer.text
    assert answer.context["form"]["version"].value() == 2


@pytest.mark.parametrize(("wrong", "word"), [({"due_at": None}, "Set a due date"), ({"lines": []}, "at least one line")])
def test_what_is_missing_is_said_before_the_button_and_there_is_none(as_max, wrong, word):
    shown = as_max.get(url("finalize", make_statement(**wrong))).text

    assert word in shown
    assert "Finalise statement</button>" not in shown


def test_credit_is_offered_at_finalising_and_never_applied_silently(as_max, max):
    plain, ticked = (make_statement(make_customer(email=f"{n}@example.com")) for n in "ab")
    give(plain.customer), give(ticked.customer)
    assert "Apply $10.00 of the customer's credit" in unescape(as_max.get(url("finalize", plain)).text)

    send(as_max, "finalize", plain)
    send(as_max, "finalize", ticked, apply_credit="on")

    assert (fresh(plain).credit_applied, fresh(ticked).credit_applied) == (0, 1000)


def test_without_any_gateway_the_review_says_so(as_max):
    statement = make_statement(make_customer(livemode=True))
    as_max.post("/mode/", {"mode": "live"})

    assert "No payment gateway takes USD in live mode" in as_max.get(url("finalize", statement)).text


# --- void, uncollectible, duplicate, delete, fulfil ------------------------------------------------------------------
def test_voiding_from_the_page(as_max):
    statement = make_open_statement()

    answer = send(as_max, "void", statement, reason="Wrong price")

    assert (fresh(statement).status, answer.status_code) == ("void", 200)
    assert "no longer takes payment" in answer.text


def test_voiding_without_a_reason_is_refused_at_the_field(as_max):
    statement = make_open_statement()

    assert as_max.post(url("void", statement), {"reason": " "}).status_code == 422
    assert fresh(statement).status == "open"


def test_voiding_says_what_becomes_of_money_and_credit(as_max, max):
    statement = make_open_statement()
    give(statement.customer)
    credit.apply_credit(statement, by=max)
    record_payment(statement.customer, amount=860, currency="USD", statement=statement, by=max)

    shown = as_max.get(url("void", statement)).text

    assert "$10.00 of credit goes back" in shown
    assert "$8.60 was paid already" in shown


def test_the_other_actions_from_their_pages(as_max):
    given_up, fulfilled, draft = make_open_statement(), make_open_statement(), make_statement()

    send(as_max, "uncollectible", given_up, why="Closed down")
    send(as_max, "fulfil", fulfilled)
    answer = send(as_max, "delete", draft)

    assert fresh(given_up).status == "uncollectible"
    assert fresh(fulfilled).fulfilled_at
    assert (answer.request["PATH_INFO"], BillingStatement.objects.filter(pk=draft.pk).exists()) == ("/billing/statements/", False)
    send(as_max, "unfulfil", fulfilled)
    assert fresh(fulfilled).fulfilled_at is None


def test_a_duplicate_and_its_original_name_each_other(as_max):
    statement = make_open_statement()

    answer = send(as_max, "duplicate", statement)
    copy = BillingStatement.objects.exclude(pk=statement.pk).get()

    assert answer.request["PATH_INFO"] == copy.get_absolute_url()
    assert statement.get_absolute_url() in page(as_max, copy)
    assert copy.get_absolute_url() in page(as_max, statement)


def test_one_duplicate_form_sent_twice_makes_one(as_max):
    statement = make_open_statement()

    for _ in range(2):
        as_max.post(url("duplicate", statement), {"form_key": "b" * 32})

    assert BillingStatement.objects.count() == 2


def test_metadata_is_edited_after_the_end_and_a_stale_form_is_told(as_max, max):
    statement = make_open_statement()
    domain.void_statement(statement, reason="Wrong", by=max)

    send(as_max, "metadata", statement, metadata_key="po", metadata_value="77")
    assert fresh(statement).metadata == {"po": "77"}
    stale = as_max.post(url("metadata", statement), {"version": 1, "metadata_key": "po", "metadata_value": "78"})

    assert (stale.status_code, fresh(statement).metadata) == (422, {"po": "77"})
    assert "was changed after you opened" in stale.text


# --- money by hand ---------------------------------------------------------------------------------------------------
def test_a_payment_made_in_cash_is_recorded(as_max, max):
    statement = make_open_statement()
    day = timezone.localdate() - timedelta(days=2)

    send(as_max, "record_payment", statement, amount="48.60", method="cash", paid_on=str(day), reference="R-7")

    payment = Payment.objects.get()
    assert (fresh(statement).status, payment.method_type, payment.merchant_reference_id) == ("paid", "cash", "R-7")
    assert (timezone.localtime(payment.paid_at).date(), payment.created_by) == (day, max)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"amount": "48.61"}, "At most $48.60 remains"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "-5"}, "such as 4,850.00"),
        ({"amount": "NaN"}, "such as 4,850.00"),
        ({"amount": ""}, "such as 4,850.00"),
        ({"paid_on": str(timezone.localdate() + timedelta(days=2))}, "yet to come"),
        ({"paid_on": "0001-01-01"}, "1900 to 9000"),
        ({"method": "card"}, "Select a valid choice"),
        ({"form_key": "x"}, "Parts of this form are missing"),
    ],
)
def test_a_payment_that_cannot_be_is_not_recorded(as_max, wrong, sentence):
    statement = make_open_statement()
    good = {"amount": "48.60", "method": "cash", "paid_on": str(timezone.localdate()), "form_key": "c" * 32}

    answer = as_max.post(url("record_payment", statement), good | wrong)

    assert answer.status_code == 422
    assert re.search(sentence.replace("$", r"\$"), unescape(answer.text))
    assert not Payment.objects.exists()


def test_one_form_records_one_payment_even_when_it_paid_all(as_max):
    statement = make_open_statement()
    data = {"amount": "48.60", "method": "cash", "paid_on": str(timezone.localdate()), "form_key": "d" * 32}

    codes = [as_max.post(url("record_payment", statement), data).status_code for _ in range(2)]

    assert (codes, Payment.objects.count(), fresh(statement).amount_paid) == ([302, 302], 1, 4860)


def test_a_payment_by_hand_closes_the_open_page_first(as_max):
    statement = make_open_statement()
    attempt = checkouts.start_payment(statement)

    send(as_max, "record_payment", statement, amount="10", method="cash", paid_on=str(timezone.localdate()))

    attempt.refresh_from_db()
    assert (attempt.state, fresh(statement).amount_remaining) == ("failed", 3860)


def test_applying_credit_shows_its_effect_and_does_it_once(as_max):
    statement = make_open_statement()
    give(statement.customer)
    shown = as_max.get(url("apply_credit", statement)).text
    assert "has $10.00 of credit" in shown
    assert "$38.60 remains to be paid" in shown

    send(as_max, "apply_credit", statement, amount="10.00")
    again = as_max.post(url("apply_credit", statement), {"amount": "10.00"})

    assert again.status_code == 422
    assert (fresh(statement).credit_applied, fresh(statement).amount_remaining) == (1000, 3860)


def test_more_credit_than_there_is_is_refused_at_the_field(as_max):
    statement = make_open_statement()
    give(statement.customer)

    assert "At most $10.00 can be applied" in as_max.post(url("apply_credit", statement), {"amount": "10.01"}).text
    assert fresh(statement).credit_applied == 0


# --- the ledger --------------------------------------------------------------------------------------------------------
def adjust(client, customer, **data):
    where = reverse("customer_billing:balance_adjust", args=[customer.pk])
    seen = client.get(where).context["form"]["seen"].value()
    return where, {"way": "give", "amount": "10", "amount_currency": "USD", "reason": "Goodwill", "seen": seen} | data


def test_credit_is_given_and_taken_with_a_reason(as_max, max):
    customer = make_customer()

    as_max.post(*adjust(as_max, customer))
    as_max.post(*adjust(as_max, customer, way="take", amount="3", reason="Mistake"))

    shown = as_max.get(reverse("customer_billing:balance", args=[customer.pk])).text
    assert "$7.00" in shown
    assert [(e.amount, e.reason, e.created_by) for e in BalanceEntry.objects.order_by("pk")] == [
        (1000, "Goodwill", max), (-300, "Mistake", max),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"way": "take"}, {"amount": "0"}, {"amount": "NaN"}, {"amount_currency": "XXX"}]
)
def test_an_impossible_adjustment_changes_nothing(as_max, wrong):
    assert as_max.post(*adjust(as_max, make_customer(), **wrong)).status_code == 422
    assert not BalanceEntry.objects.exists()


def test_one_adjustment_sent_twice_counts_once(as_max):
    where, data = adjust(as_max, make_customer())

    codes = [as_max.post(where, data).status_code for _ in range(2)]

    assert (codes, BalanceEntry.objects.count()) == ([302, 422], 1)


def test_everyone_reads_the_ledger_and_only_some_adjust(as_sue, as_rita):
    customer = make_customer()

    for client in (as_sue, as_rita):
        assert client.get(reverse("customer_billing:balance", args=[customer.pk])).status_code == 200
        assert client.get(reverse("customer_billing:balance_adjust", args=[customer.pk])).status_code == 403


# --- the details page -----------------------------------------------------------------------------------------------------
def test_the_link_is_for_those_who_may_reach_the_customer(as_sue, as_rita):
    statement = make_open_statement()

    assert statement.url in page(as_sue, statement)
    assert statement.token not in page(as_rita, statement)
    assert as_sue.get(url("qr", statement))["Content-Type"] == "image/svg+xml"
    assert as_rita.get(url("qr", statement)).status_code == 403


def test_a_draft_has_no_link(as_max):
    draft = make_statement()

    assert draft.token not in page(as_max, draft)
    assert as_max.get(url("qr", draft)).status_code == 404


def test_the_page_tells_how_often_it_was_opened(as_max):
    statement = make_open_statement()
    for _ in range(3):
        events.record("billing_statement.viewed", statement, by=None, actor="payer")

    assert "3 times, last" in page(as_max, statement)


def test_a_declined_payment_is_told_with_its_reason(as_max):
    statement = make_open_statement()
    submit_card(checkouts.start_payment(statement), DECLINED)
    checkouts.check_again(statement)

    shown = page(as_max, statement)

    assert Payment.objects.get().failure_message in shown
    assert "Payment failed" in shown
    assert fresh(statement).status == "open"


def test_editing_the_customer_leads_back_and_leaves_the_statement_as_it_was(as_max, max):
    statement = make_open_statement()
    edit = re.search(r'href="(/customers/[^"]+/edit/\?next=[^"]+)"', page(as_max, statement))[1]
    before = BillingStatement.objects.values().get()
    form = as_max.get(edit).context["form"]
    data = {f.html_name: f.value() or "" for f in form if f.name not in ("metadata", "was")} | {"was": form["was"].value()}
    import json

    answer = as_max.post(edit, data | {"last_name": "Reyes", "was": json.dumps(form["was"].value())})

    assert answer.url == statement.get_absolute_url()
    statement.customer.refresh_from_db()
    assert statement.customer.last_name == "Reyes"
    assert BillingStatement.objects.values().get() == before


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"])
def test_editing_a_customer_never_leads_elsewhere(as_max, elsewhere):
    from customers.views import CustomerEdit

    customer = make_customer()
    view = CustomerEdit()
    view.object, view.request = customer, type("R", (), {"GET": {"next": elsewhere}})()

    assert view.get_success_url() == customer.get_absolute_url()


def test_the_details_take_a_fixed_number_of_queries(as_max, django_assert_max_num_queries):
    statement = make_open_statement(lines=[(f"Line {n}", 1, 1000) for n in range(30)])
    for _ in range(10):
        record_payment(statement.customer, amount=100, currency="USD", statement=statement, by=None)
    update_customer(statement.customer, version=1, by=None, tax_id="9")
    as_max.get(statement.get_absolute_url())

    with django_assert_max_num_queries(20):
        as_max.get(statement.get_absolute_url())


# --- the list ------------------------------------------------------------------------------------------------------------
def test_the_list_offers_a_new_statement_to_those_who_may(as_max, as_sue):
    assert "/billing/statements/new/" in as_max.get("/billing/statements/").text
    assert "/billing/statements/new/" not in as_sue.get("/billing/statements/").text
    customer = make_customer()
    new = reverse("customer_billing:statement_new", args=[customer.pk])
    assert new in as_max.get(customer.get_absolute_url()).text
    assert new not in as_sue.get(customer.get_absolute_url()).text


def test_fulfilled_and_not_are_filters(as_max, max):
    done, waiting, _draft = make_open_statement(), make_open_statement(), make_statement()
    domain.fulfil_statement(done, by=max)

    def rows(value):
        return {s.pk for s in as_max.get("/billing/statements/", {"fulfilled": value}).context["page"].rows}

    assert (rows("yes"), rows("no")) == ({done.pk}, {waiting.pk})


def test_a_statement_is_found_by_its_metadata(as_max):
    wanted = make_statement(metadata={"order": "zquux77"})
    make_statement(make_customer(email="other@example.com"))

    assert {s.pk for s in as_max.get("/billing/statements/", {"q": "zquux77"}).context["page"].rows} == {wanted.pk}
