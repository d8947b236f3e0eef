"""Request payment from anywhere: presets, a statement, somebody chosen or somebody new; and the list of requests."""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from billing.domain import coupons, visits
from billing.domain.sending import chat_text
from billing.models import PaymentRequest
from billing.tests.factories import make_customer, make_open_statement, make_request, make_statement
from billing.tests.test_request_payment import KEY, ask, url_of
from customers.domain import archive_customer
from customers.models import Customer

pytestmark = pytest.mark.django_db
ANY = "/billing/payment-requests/new/"
LIST = "/billing/payment-requests/"


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def marta(db):
    return make_customer()


def value(page, name):
    found = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)[0]
    return (re.search(r'value="([^"]*)"', found) or [None, ""])[1]


def step_two(client, customer, **query):
    return client.get(url_of(customer), {"step": "2", "method": "card", **query}).content.decode()


# --- presets -----------------------------------------------------------------------------------------------
def test_presets_are_carried_through_step_one_into_step_two(as_max, marta):
    presets = {"amount": "120.00", "currency": "EUR", "description": "Deposit & more", "reference": "PO 9"}
    step_one = as_max.get(url_of(marta), presets).content.decode()
    carried = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', step_one))
    assert {n: carried[n] for n in presets} == presets | {"description": "Deposit &amp; more"}

    page = step_two(as_max, marta, **presets)

    assert (value(page, "amount"), value(page, "merchant_reference_id")) == ("120.00", "PO 9")
    assert value(page, "description") == "Deposit &amp; more"
    assert re.search(r'<option value="EUR"[^>]* selected', page)


def test_presets_that_make_no_sense_harm_nothing(as_max, marta):
    nonsense = {"amount": "<b>", "currency": "XXX", "description": "x" * 9000, "statement": "\0", "expires": "7", "coupon": "%"}
    assert as_max.get(url_of(marta), nonsense).status_code == 200
    assert 'value="&lt;b&gt;"' in step_two(as_max, marta, **nonsense)


def test_a_key_cannot_be_preset(as_max, marta):
    assert value(step_two(as_max, marta, form_key=KEY), "form_key") != KEY


def test_a_statement_presets_what_remains_and_offers_its_own_link_first(as_max, marta):
    statement = make_open_statement(marta)
    link = f"{url_of(marta)}?statement={statement.pk}"
    assert link in as_max.get(statement.get_absolute_url()).content.decode()
    assert f"{statement} has a link of its own" in as_max.get(link).content.decode()

    page = step_two(as_max, marta, statement=statement.pk)

    assert f"{statement} has a link of its own" in page
    assert f"/billing/statements/{statement.pk}/send/" in page
    assert (value(page, "amount"), value(page, "merchant_reference_id")) == ("48.60", f"Billing statement {statement.number}")


def test_a_statement_of_somebody_else_or_a_draft_presets_nothing(as_max, marta):
    other = make_open_statement(make_customer(first_name="Jo", email="jo@example.com"))
    for statement in (other, make_statement(marta)):
        page = step_two(as_max, marta, statement=statement.pk)
        assert value(page, "amount") == ""
        assert "has a link of its own" not in page


# --- step 2 --------------------------------------------------------------------------------------------------
def test_a_moment_of_ones_own_takes_the_place_of_the_usual_spans(as_max, marta):
    until = (timezone.localtime() + timedelta(minutes=5)).replace(second=0, microsecond=0)
    ask(as_max, marta, until=until.strftime("%Y-%m-%dT%H:%M"))
    assert PaymentRequest.objects.get().expires_at == until


def test_thirty_one_days_are_refused_in_words(as_max, marta):
    until = timezone.localtime() + timedelta(days=31)
    response = ask(as_max, marta, until=until.strftime("%Y-%m-%dT%H:%M"))
    assert response.status_code == 422
    assert "at least 1 minute and at most 30 days" in response.content.decode()
    assert not PaymentRequest.objects.exists()


def test_saving_the_card_is_offered_where_a_card_can_be_paid_with(as_max, marta):
    assert "is kept with this customer" in step_two(as_max, marta)
    without = as_max.get(url_of(marta), {"step": "2", "method": "bank_account"}).content.decode()
    assert "save_card" not in without
    ask(as_max, marta, save_card="on")
    assert PaymentRequest.objects.get().save_card


def test_the_payer_is_told_that_the_card_is_kept(as_max, marta):
    for save, said in ((True, True), (False, False)):
        page = Client().get(make_request(marta, save_card=save).url.removeprefix("http://127.0.0.1:8000")).content.decode()
        assert ("A card you pay with is kept for later payments" in page) is said


def test_a_coupon_is_found_whatever_its_case_and_shown_everywhere(as_max, marta):
    coupon = coupons.create_coupon(livemode=False, by=None, code="SPRING", percent_off=Decimal(20))

    url = ask(as_max, marta, coupon="spring").url

    made = PaymentRequest.objects.get()
    assert (made.amount, made.discount_amount, made.coupon) == (3880, 970, coupon)
    assert "$48.50 less $9.70 with SPRING" in as_max.get(url).content.decode()
    details = as_max.get(made.get_absolute_url()).content.decode()
    payer = Client().get(made.url.removeprefix("http://127.0.0.1:8000")).content.decode()
    for page in (details, payer):
        for words in ("Subtotal", "$48.50", "Discount", "−$9.70", "SPRING", "To pay", "$38.80"):
            assert words in page, words


@pytest.mark.parametrize("case", ["unknown", "not a code", "off", "expired", "used", "foreign", "other mode", "other currency"])
def test_a_coupon_that_does_not_count_is_said_at_its_field(as_max, marta, case):
    other = make_customer(first_name="Jo", email="jo@example.com")
    fields = {"livemode": False, "by": None, "code": "SPRING", "percent_off": Decimal(20)}
    if case == "off":
        coupons.switch(coupons.create_coupon(**fields), active=False, by=None)
    elif case == "expired":
        found = coupons.create_coupon(**fields, redeem_by=timezone.now() + timedelta(days=1))
        type(found).objects.update(redeem_by=timezone.now() - timedelta(days=1))
    elif case == "used":
        make_request(other, coupon=coupons.create_coupon(**fields, max_redemptions=1))
    elif case == "foreign":
        coupons.create_coupon(**fields, customer=other)
    elif case == "other mode":
        coupons.create_coupon(**fields | {"livemode": True})
    elif case == "other currency":
        coupons.create_coupon(**fields | {"percent_off": None, "amount_off": 500, "currency": "PHP"})
    before = PaymentRequest.objects.count()

    response = ask(as_max, marta, coupon="two words" if case == "not a code" else "SPRING")

    assert response.status_code == 422
    assert list(response.context["form"].errors) == ["coupon"]
    assert PaymentRequest.objects.count() == before


def test_sending_the_form_of_the_last_use_twice_shows_the_request_it_made(as_max, marta):
    coupons.create_coupon(livemode=False, by=None, code="SPRING", percent_off=Decimal(20), max_redemptions=1)
    assert ask(as_max, marta, coupon="SPRING").url == ask(as_max, marta, coupon="SPRING").url
    assert PaymentRequest.objects.count() == 1


def test_the_same_price_before_its_coupon_is_the_same_amount(as_max, marta):
    coupon = coupons.create_coupon(livemode=False, by=None, code="SPRING", percent_off=Decimal(20))
    make_request(marta, coupon=coupon)
    assert ask(as_max, marta).status_code == 409


def test_a_currency_the_methods_do_not_take_is_refused(as_max, marta):
    response = ask(as_max, marta, amount_currency="ZZZ")
    assert response.status_code == 422
    assert not PaymentRequest.objects.exists()


def test_the_text_for_a_chat_says_who_how_much_to_whom_and_where(as_max, as_rita, marta, settings):
    request = make_request(marta)
    text = f"Hi Marta, you can pay $48.50 to {settings.MERCHANT_NAME} here: {request.url}"
    assert chat_text(request) == text
    escaped = text.replace("&", "&amp;")
    assert escaped in as_max.get(request.get_absolute_url(), {"created": "1"}).content.decode()
    assert request.token not in as_rita.get(request.get_absolute_url()).content.decode()


# --- whom ------------------------------------------------------------------------------------------------------
def test_somebody_is_found_by_search_and_chosen(as_max, marta):
    page = as_max.post(ANY, {"q": "santos", "find": "1"}).content.decode()
    assert f'name="pick" value="{marta.pk}"' in page
    assert as_max.post(ANY, {"q": "santos"}).content.decode().count('name="pick"') == 1  # the Enter key in the box
    assert as_max.post(ANY, {"q": "santos", "pick": marta.pk}).url == url_of(marta)
    hits = as_max.get("/billing/payment-requests/customers/", {"q": "santos"}).content.decode()
    assert f'value="{marta.pk}"' in hits


def test_somebody_of_the_other_mode_or_nobody_is_not_chosen(as_max):
    live = make_customer(livemode=True)
    for pk in (live.pk, "cus_" + "0" * 24, "\0", "../"):
        assert as_max.post(ANY, {"pick": pk}).status_code == 404


def test_somebody_new_is_put_on_the_list_once_and_asked(as_max):
    for _ in range(2):
        url = as_max.post(ANY, {"name": "Ada Lovelace", "email": "Ada@Example.org"}).url
    ada = Customer.objects.get()
    assert (ada.name, ada.email, ada.origin, ada.livemode) == ("Ada Lovelace", "ada@example.org", "payment_request", False)
    assert url == url_of(ada)


def test_somebody_who_might_be_known_is_asked_about_first(as_max, marta):
    new = {"name": "Marta Santos", "email": "other@example.org"}
    response = as_max.post(ANY, new)
    assert response.status_code == 409
    assert f'name="pick" value="{marta.pk}"' in response.content.decode()
    assert Customer.objects.count() == 1
    assert as_max.post(ANY, new | {"not_a_duplicate": "1"}).status_code == 302
    assert Customer.objects.count() == 2


@pytest.mark.parametrize("wrong", [{"name": "Ada"}, {"email": "ada@example.org"}, {"name": "Ada", "email": "ada"}, {}])
def test_name_and_email_are_needed(as_max, wrong):
    response = as_max.post(ANY, wrong)
    assert response.status_code == 422
    assert response.context["form"].errors
    assert not Customer.objects.exists()


def test_looking_makes_nobody(as_max):
    as_max.get(ANY)
    as_max.post(ANY, {"find": "1", "q": "nobody", "name": "Ada", "email": "ada@example.org"})
    assert not Customer.objects.exists()


def test_the_button_stands_where_one_may_press_it(as_max, as_sue, as_rita, marta):
    make_request(marta)
    for path in (LIST, "/overview/"):
        assert f'href="{ANY}"' in as_max.get(path).content.decode(), path
        for client in (as_sue, as_rita):
            assert f'href="{ANY}"' not in client.get(path).content.decode(), path
    for client in (as_sue, as_rita):
        assert client.get(ANY).status_code == client.post(ANY, {"pick": marta.pk}).status_code == 403


def test_each_row_of_the_customers_list_leads_there(as_max, as_sue, max, marta):
    gone = archive_customer(make_customer(first_name="Jo", email="jo@example.com"), by=max)
    assert f'href="{url_of(marta)}" data-dialog' in as_max.get("/customers/").content.decode()
    assert url_of(gone) not in as_max.get("/customers/", {"status": "archived"}).content.decode()
    assert url_of(marta) not in as_sue.get("/customers/").content.decode()


def test_an_archived_customer_is_not_found(as_max, max, marta):
    archive_customer(marta, by=max)
    assert 'name="pick"' not in as_max.post(ANY, {"q": "santos", "find": "1"}).content.decode()


# --- the list --------------------------------------------------------------------------------------------------
def rows_of(client, **query):
    page = client.get(LIST, query).content.decode()
    return set(re.findall(r'<a class="row-link" href="/billing/payment-requests/(\w+)/">', page))


@pytest.fixture
def three(marta, max, sue):
    """An opened one of Max's, one of Sue's for a bank account, and one of the terminal."""
    made = (
        make_request(marta, by=max),
        make_request(marta, by=sue, method_types=["bank_account"]),
        make_request(marta, by_staff=True, method_types=["card", "bank_account"]),
    )
    visits.record_view(made[0], address="203.0.113.9", agent="Mozilla/5.0 (iPhone)")
    return [request.pk for request in made]


def test_requests_are_filtered_by_method_opening_maker_and_origin(as_max, max, sue, three):
    opened, bank, terminal = three
    assert rows_of(as_max, method="card") == {opened, terminal}
    assert rows_of(as_max, method="bank_account") == {bank, terminal}
    assert rows_of(as_max, method="cash") == set()
    assert rows_of(as_max, opened="yes") == {opened}
    assert rows_of(as_max, opened="no") == {bank, terminal}
    assert rows_of(as_max, created_by=max.pk) == {opened}
    assert rows_of(as_max, created_by=sue.pk) == {bank}
    assert rows_of(as_max, origin="terminal") == {terminal}
    assert rows_of(as_max, origin="link") == {opened, bank}
    assert rows_of(as_max, **{"opened": "yes", "method": "card", "status": "open"}) == {opened}


@pytest.mark.parametrize("value", ["usr_\0", "\0", "usr_" + "0" * 24, "nobody", "' OR 1=1 --"])
def test_a_maker_who_is_nobody_filters_nothing_and_says_so(as_max, three, value):
    assert rows_of(as_max, created_by=value) == set(three)
    assert "Created by: Select a valid choice." in as_max.get(LIST, {"created_by": value}).content.decode()


def test_those_of_the_terminal_are_marked(as_max, three):
    assert len(re.findall(r'class="badge[^"]*">[^<]*Terminal', as_max.get(LIST).content.decode())) == 1
    assert "Terminal" in as_max.get(f"{LIST}{three[2]}/").content.decode()


def test_all_columns_can_be_shown(as_max, three):
    names = "discount_amount,coupon,sent_at,last_opened_at,created_by,merchant_reference_id,completed_at"
    page = as_max.get(LIST, {"columns": names}).content.decode()
    for heading in ("Discount", "Coupon", "Last opened", "Created by"):
        assert heading in page
    assert "Today" in page


def test_the_export_says_discount_coupon_and_when_it_was_opened(as_max, marta, three):
    coupon = coupons.create_coupon(livemode=False, by=None, code="SPRING", percent_off=Decimal(20))
    made = make_request(marta, coupon=coupon)
    columns = "id,subtotal,discount_amount,coupon_code,amount,by_staff,created_by,last_opened_at"
    response = as_max.get(LIST, {"format": "csv", "columns": columns})
    rows = [line.split(",") for line in b"".join(response.streaming_content).decode("utf-8-sig").split("\r\n")[1:] if line]
    by_id = {row[0]: row[1:] for row in rows}
    assert by_id[made.pk][:5] == ["48.50", "9.70", "SPRING", "38.80", "false"]
    assert by_id[three[2]][4] == "true"
    assert by_id[three[0]][5] == "max@example.com"
    assert [pk for pk, row in by_id.items() if row[6]] == [three[0]]


def test_every_filter_and_column_at_once_is_one_list(as_max, three, max):
    everything = {"q": "wholesale", "method": "card", "opened": "yes", "origin": "link", "created_by": max.pk, "status": "open"}
    more = {"amount_from": "1", "amount_to": "100", "currency": "USD", "expires_from": "2020-01-01", "created": "today"}
    assert rows_of(as_max, **everything | more, columns="last_opened_at,created_by") == {three[0]}
    assert as_max.get(f"{LIST}?{urlencode(everything | more | {'format': 'csv'})}").status_code == 200
