"""The pages of coupons: what staff see, type and are told."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.domain import coupons, statements
from billing.models import BillingStatement, Coupon
from billing.tests.factories import make_coupon, make_customer, make_open_statement, make_statement
from customers.domain import archive_customer
from customers.models import Customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db
LIST, NEW, USES = "/billing/coupons/", "/billing/coupons/new/", "/billing/coupons/uses/"
KEY = "c" * 32


def in_days(days):
    return str(timezone.localdate() + timedelta(days=days))


def typed(**fields):
    """What a browser sends for a coupon of 10 %."""
    return {"percent_off": "10", "amount": "", "amount_currency": "USD", "duration": "once", "form_key": KEY} | fields


def of_customer(customer, name="coupon_new"):
    return reverse(f"customer_billing:{name}", args=[customer.pk])


def errors(answer, field):
    assert answer.status_code == 422, answer.status_code
    return " ".join(answer.context["form"].errors.get(field, []))


def codes(client, url=LIST, **query):
    return {coupon.code for coupon in client.get(url, query).context["page"].rows}


def rows_of(client, url, **query):
    text = b"".join(client.get(url, {"format": "csv", **query}).streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# --- making ----------------------------------------------------------------------------------------------------
def test_a_coupon_is_made_with_all_that_can_be_said(as_max, max):
    customer = make_customer()
    about = {"code": "WELCOME", "name": "Welcome", "max_redemptions": "5", "max_per_customer": "1", "customer": customer.email}
    days = {"starts_on": in_days(0), "redeem_on": in_days(30), "metadata_key": "campaign", "metadata_value": "autumn"}

    answer = as_max.post(NEW, typed(percent_off="12.5 %", duration="repeating", duration_in_months="3", **about, **days))

    coupon = Coupon.objects.get()
    assert answer.url == coupon.get_absolute_url()
    assert (coupon.off, coupon.code, coupon.customer, coupon.created_by) == ("12.5 % off, for 3 months", "WELCOME", customer, max)
    assert (coupon.max_redemptions, coupon.max_per_customer, coupon.metadata) == (5, 1, {"campaign": "autumn"})
    assert timezone.localtime(coupon.starts_at).strftime("%H:%M") == "00:00"
    assert timezone.localtime(coupon.redeem_by).strftime("%H:%M") == "23:59"
    page = as_max.get(answer.url).content.decode()
    assert "Coupon WELCOME was created: 12.5 % off, for 3 months." in page
    assert "autumn" in page


def test_an_amount_off_is_read_in_its_currency(as_max):
    as_max.post(NEW, typed(percent_off="", amount="1,250", amount_currency="JPY"))
    assert str(Coupon.objects.get().amount_off_money) == "¥1,250"


def test_without_a_code_it_gets_one(as_max):
    as_max.post(NEW, typed())
    assert len(Coupon.objects.get().code) == 10


def test_one_form_makes_one_coupon_however_often_it_is_sent(as_max):
    first, second = (as_max.post(NEW, typed(code="TWICE")) for _ in range(2))
    assert first.url == second.url
    assert Coupon.objects.count() == 1


BAD = {
    "110 %": ({"percent_off": "110"}, "percent_off", "from 1 to 100"),
    "0 %": ({"percent_off": "0"}, "percent_off", "from 1 to 100"),
    "a word": ({"percent_off": "ten"}, "percent_off", "from 1 to 100"),
    "no number": ({"percent_off": "NaN"}, "percent_off", "from 1 to 100"),
    "three decimals": ({"percent_off": "1.234"}, "percent_off", "two decimals"),
    "amount without currency": ({"percent_off": "", "amount": "5", "amount_currency": ""}, "amount", "Choose the currency"),
    "both kinds": ({"amount": "5"}, "amount", "not both"),
    "neither kind": ({"percent_off": ""}, "percent_off", "a percentage or an amount"),
    "nothing off": ({"percent_off": "", "amount": "0"}, "amount", "above zero"),
    "too much off": ({"percent_off": "", "amount": "99999999999"}, "amount", "The largest amount"),
    "months without repeating": ({"duration_in_months": "3"}, "duration_in_months", "Months belong to"),
    "repeating without months": ({"duration": "repeating"}, "duration_in_months", "for how many months"),
    "half a month": ({"duration": "repeating", "duration_in_months": "0.5"}, "duration_in_months", "whole number"),
    "a day that has passed": ({"redeem_on": in_days(-1)}, "redeem_on", "has passed"),
    "starts after its end": ({"starts_on": in_days(9), "redeem_on": in_days(3)}, "starts_on", "start after it ends"),
    "a code with spaces": ({"code": "SUMMER SALE"}, "code", "without spaces"),
    "a code that is taken": ({"code": "taken"}, "code", "already"),
    "a card number as code": ({"code": "4242424242424242"}, "code", "card number"),
    "a limit in words": ({"max_redemptions": "many"}, "max_redemptions", "whole number"),
    "a customer nobody knows": ({"customer": "nobody@example.com"}, "customer", "No active customer"),
}


@pytest.mark.parametrize(("fields", "field", "sentence"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(as_max, fields, field, sentence):
    make_coupon(code="TAKEN")
    assert sentence in errors(as_max.post(NEW, typed(**fields)), field)
    assert Coupon.objects.count() == 1


def test_one_fault_is_told_once_and_at_one_field_alone(as_max):
    form = as_max.post(NEW, typed(percent_off="ten", duration="repeating")).context["form"]
    assert set(form.errors) == {"percent_off", "duration_in_months"}


def test_a_name_that_several_customers_have_is_asked_about(as_max):
    for n in range(2):
        make_customer(email=f"c{n}@example.com")
    assert "Several customers match" in errors(as_max.post(NEW, typed(customer="Marta Santos")), "customer")


def test_a_customer_of_the_other_mode_is_not_found(as_max):
    live = make_customer(livemode=True)
    for text in (live.pk, live.email):
        assert "No active customer" in errors(as_max.post(NEW, typed(customer=text)), "customer")


# --- from a customer -------------------------------------------------------------------------------------------
def test_from_a_customer_it_is_ready_to_be_created(as_max):
    """Two clicks: Create coupon, Create."""
    customer = make_customer()
    assert of_customer(customer) in as_max.get(customer.get_absolute_url()).content.decode()

    page = as_max.get(of_customer(customer))
    form = page.context["form"]
    sent = form.initial | {"duration": "once"}
    assert "autofocus" in str(form["percent_off"])
    answer = as_max.post(of_customer(customer), sent)

    coupon = Coupon.objects.get()
    assert answer.url == coupon.get_absolute_url()
    assert (coupon.customer, coupon.off, coupon.max_redemptions, len(coupon.code)) == (customer, "10 % off", 1, 10)
    assert Event.objects.filter(customer_id=customer.pk, type="coupon.created").exists()


def test_an_archived_customer_gets_no_coupon(as_max, max):
    customer = make_customer()
    archive_customer(customer, by=max)

    answer = as_max.post(of_customer(customer), typed())
    assert "archived" in errors(answer, "__all__")
    assert not Coupon.objects.exists()


def test_on_the_main_page_the_customer_is_filled_in_and_can_be_lifted(as_max):
    customer = make_customer()
    assert customer.pk in as_max.get(f"{NEW}?customer={customer.pk}").content.decode()
    as_max.post(f"{NEW}?customer={customer.pk}", typed(customer=""))
    assert Coupon.objects.get().customer is None


def section(client, customer):
    """The customer page's section of coupons."""
    page = client.get(customer.get_absolute_url()).content.decode()
    return page.partition('id="coupons"')[2].partition("</section>")[0]


def test_the_customers_page_shows_used_coupons_first_and_then_those_assigned(as_max):
    customer, mine = make_customer(), make_coupon(code="ANYONE")
    assert "No coupons used" in section(as_max, customer)
    statement = make_open_statement(customer, coupon=mine)
    make_coupon(code="ASSIGNED", customer=customer)
    make_coupon(code="FOREIGN", customer=make_customer(email="other@example.com"))

    html = section(as_max, customer)
    assert html.index("Used") < html.index(statement.number) < html.index("ANYONE") < html.index("4.86")
    assert html.index("4.86") < html.index("Assigned") < html.index("ASSIGNED")
    assert "FOREIGN" not in html


def test_a_customers_list_holds_what_was_used_and_what_is_assigned(as_max):
    customer = make_customer()
    make_open_statement(customer, coupon=make_coupon(code="USED"))
    make_coupon(code="MINE", customer=customer)
    make_coupon(code="OTHER")

    assert codes(as_max, of_customer(customer, "coupons")) == {"USED", "MINE"}
    uses = as_max.get(of_customer(customer, "redemptions")).context["page"].rows
    assert [use.coupon.code for use in uses] == ["USED"]


# --- the list --------------------------------------------------------------------------------------------------
@pytest.fixture
def shelf(max):
    """One coupon of each status."""
    now = timezone.now()
    make_coupon(code="ACTIVE", name="Autumn")
    make_coupon(code="LATER", starts_at=now + timedelta(days=3), amount_off=500, currency="USD")
    make_open_statement(make_customer(), coupon=make_coupon(code="EMPTY", max_redemptions=1))
    make_coupon(code="OVER", redeem_by=now + timedelta(days=1), duration="forever")
    Coupon.objects.filter(code="OVER").update(redeem_by=now - timedelta(days=40))
    coupons.switch(make_coupon(code="STOPPED", customer=Customer.objects.get()), active=False, by=max)
    make_coupon(code="LIVE", livemode=True)


STATUSES = {"active": "ACTIVE", "scheduled": "LATER", "used_up": "EMPTY", "expired": "OVER", "off": "STOPPED"}


def test_each_status_has_its_tab_with_its_count(shelf, as_max):
    tabs = {tab["label"]: tab["count"] for tab in as_max.get(LIST).context["list_tabs"]}
    assert tabs == {"All": "5", "Active": "1", "Scheduled": "1", "Used up": "1", "Expired": "1", "Off": "1"}
    for status, code in STATUSES.items():
        assert codes(as_max, status=status) == {code}


def test_filters_find_by_kind_currency_duration_customer_and_days(shelf, as_max):
    assert codes(as_max, kind="amount") == {"LATER"} == codes(as_max, currency="USD")
    assert codes(as_max, kind="percent") == {"ACTIVE", "EMPTY", "OVER", "STOPPED"}
    assert codes(as_max, duration="forever") == {"OVER"}
    assert codes(as_max, bound="yes") == {"STOPPED"} == codes(as_max, customer=Customer.objects.get().pk)
    assert codes(as_max, redeem_by_to=in_days(-30)) == {"OVER"}
    assert codes(as_max, redeem_by_from=in_days(-30)) == set()
    assert codes(as_max, created="today", status="active") == {"ACTIVE"}


def test_a_coupon_is_found_by_its_name_and_a_code_leads_straight_to_it(shelf, as_max):
    assert codes(as_max, q="autu") == {"ACTIVE"}
    coupon = Coupon.objects.get(code="ACTIVE")
    for text in ("active", " ACTIVE", coupon.pk):
        assert as_max.get(LIST, {"q": text}).url == coupon.get_absolute_url()
    assert as_max.get(LIST, {"q": "LIVE"}).status_code == 200  # the other mode's
    assert as_max.get("/search/", {"q": "autumn"}).content.decode().count("ACTIVE") >= 1


def test_the_export_says_how_often_each_was_redeemed(shelf, as_max, as_rita):
    found = {row["code"]: row for row in rows_of(as_max, LIST)}

    assert {code: row["status"] for code, row in found.items()} == {code: status for status, code in STATUSES.items()}
    assert (found["EMPTY"]["times_redeemed"], found["EMPTY"]["max_redemptions"]) == ("1", "1")
    assert (found["LATER"]["amount_off"], found["LATER"]["currency"], found["LATER"]["percent_off"]) == ("5.00", "USD", "")
    assert (found["ACTIVE"]["percent_off"], found["ACTIVE"]["amount_off"]) == ("10.00", "")
    assert found["STOPPED"]["active"] == "false"
    assert len(rows_of(as_rita, LIST)) == 5


def test_the_uses_are_a_list_with_an_export_of_its_own(as_max, max):
    coupon = make_coupon(code="TEN")
    kept = make_open_statement(coupon=coupon)
    gone = make_open_statement(make_customer(email="b@example.com"), coupon=coupon)
    statements.void_statement(gone, reason="wrong", by=max)

    assert {use.used_on.number for use in as_max.get(USES, {"state": "used"}).context["page"].rows} == {kept.number}
    assert {use.used_on.number for use in as_max.get(USES, {"state": "released"}).context["page"].rows} == {gone.number}
    assert len(as_max.get(USES, {"code": "ten", "currency": "USD"}).context["page"].rows) == 2
    row = next(r for r in rows_of(as_max, USES) if r["statement_number"] == kept.number)
    assert (row["code"], row["amount_discounted"], row["counts"]) == ("TEN", "4.86", "true")


def test_the_list_stays_at_its_queries_however_many_rows(as_max, django_assert_max_num_queries):
    for n in range(6):
        make_open_statement(make_customer(email=f"c{n}@example.com"), coupon=make_coupon(customer=None))
    as_max.get(LIST)
    for url in (LIST, USES):
        with django_assert_max_num_queries(7):
            as_max.get(url)


# --- one coupon ------------------------------------------------------------------------------------------------
def test_a_coupons_page_tells_who_used_it_where_and_how_much(as_max, max):
    coupon = make_coupon(code="TEN", by=max, max_redemptions=9)
    first = make_open_statement(coupon=coupon)
    second = make_open_statement(make_customer(email="b@example.com"), coupon=coupon, currency="PHP")
    void = make_open_statement(make_customer(email="c@example.com"), coupon=coupon)
    statements.void_statement(void, reason="wrong", by=max)

    page = as_max.get(coupon.get_absolute_url())
    assert [(str(s.money), s.count) for s in page.context["given"]] == [("₱4.86", 1), ("$4.86", 1)]
    html = page.content.decode()
    for statement in (first, second, void):
        assert statement.get_absolute_url() in html
    assert "2 / 9" in html
    assert "Given back" in html
    assert "Coupon redeemed" in html


def test_a_page_says_why_a_coupon_cannot_be_used(as_max, max):
    coupon = coupons.switch(make_coupon(code="STOP"), active=False, by=max)
    assert "STOP is switched off." in as_max.get(coupon.get_absolute_url()).content.decode()


def try_it(client, coupon, customer="", amount="50", currency="USD"):
    page = client.get(coupon.get_absolute_url(), {"customer": customer, "amount": amount, "amount_currency": currency})
    return page.context["tried"], page.context["try_form"]


def test_a_code_is_tried_on_a_bill_without_using_it(as_max):
    ana, coupon = make_customer(), make_coupon(code="FIVE", amount_off=500, currency="USD", max_per_customer=1)

    tried, _ = try_it(as_max, coupon, ana.email)
    assert (tried.why, str(tried.gives), str(tried.leaves)) == ("", "$5.00", "$45.00")
    assert str(try_it(as_max, coupon, amount="3")[0].leaves) == "$0.00"
    assert "in PHP" in try_it(as_max, coupon, currency="PHP")[0].why
    make_open_statement(ana, coupon=coupon)
    assert "has used FIVE once" in try_it(as_max, coupon, ana.pk)[0].why
    assert "alone" in try_it(as_max, make_coupon(customer=make_customer(email="o@example.com")), ana.email)[0].why
    assert Coupon.objects.get(code="FIVE").times_redeemed == 1


def test_trying_it_on_nonsense_is_told_at_the_field(as_max):
    tried, form = try_it(as_max, make_coupon(), customer="nobody at all", amount="much")
    assert tried is None
    assert set(form.errors) == {"customer", "amount"}


def test_a_reporter_reads_coupons_but_tries_and_changes_none(as_rita, max):
    coupon = make_coupon()
    page = as_rita.get(coupon.get_absolute_url(), {"customer": "marta", "amount": "50"})
    assert page.context["try_form"] is None
    for name in ("coupon_edit", "coupon_switch", "coupon_duplicate"):
        assert as_rita.get(reverse(f"billing:{name}", args=[coupon.pk])).status_code == 403
    assert as_rita.post(NEW, typed()).status_code == 403
    assert Coupon.objects.count() == 1


def edit(client, coupon, **fields):
    url = reverse("billing:coupon_edit", args=[coupon.pk])
    form = client.get(url).context["form"]
    sent = {
        "percent_off": "10",
        "amount_currency": "USD",
        "duration": "once",
        "code": coupon.code,
        "version": form["version"].value(),
    }
    return client.post(url, sent | fields)


def test_a_coupon_is_edited(as_max):
    coupon = make_coupon(code="OLD")
    assert edit(as_max, coupon, percent_off="20", code="NEW", max_redemptions="3").url == coupon.get_absolute_url()
    coupon.refresh_from_db()
    assert (coupon.off, coupon.code, coupon.max_redemptions) == ("20 % off", "NEW", 3)


def test_a_coupon_in_use_says_that_its_terms_stand(as_max):
    coupon = make_coupon(code="USED")
    make_open_statement(coupon=coupon)
    url = reverse("billing:coupon_edit", args=[coupon.pk])

    page = as_max.get(url)
    assert "that stands: it has been used" in page.content.decode()
    assert "percent_off" not in page.context["form"].fields
    edit(as_max, coupon, percent_off="90", name="Renamed")
    coupon.refresh_from_db()
    assert (coupon.off, coupon.name) == ("10 % off", "Renamed")


def test_an_expired_coupon_can_be_renamed_and_keeps_its_moment(as_max):
    coupon = make_coupon(code="OVER", redeem_by=timezone.now() + timedelta(days=1))
    Coupon.objects.filter(pk=coupon.pk).update(redeem_by=timezone.now() - timedelta(days=3))
    coupon.refresh_from_db()
    day = str(timezone.localtime(coupon.redeem_by).date())

    assert edit(as_max, coupon, name="Kept", redeem_on=day).status_code == 302
    was = coupon.redeem_by
    coupon.refresh_from_db()
    assert (coupon.name, coupon.redeem_by) == ("Kept", was)
    assert "has passed" in errors(edit(as_max, coupon, redeem_on=in_days(-2)), "redeem_on")


def test_a_colleagues_edit_is_not_overwritten_unseen(as_max, max):
    coupon = make_coupon()
    url = reverse("billing:coupon_edit", args=[coupon.pk])
    sent = typed(version="1", code=coupon.code, name="Mine")
    coupons.update_coupon(coupon, version=1, by=max, name="Theirs")

    answer = as_max.post(url, sent)
    assert "Someone saved this coupon" in errors(answer, "__all__")
    again = as_max.post(url, sent | {"version": answer.context["form"]["version"].value()})
    assert again.status_code == 302
    coupon.refresh_from_db()
    assert coupon.name == "Mine"


def test_a_coupon_is_switched_off_and_on_and_looking_does_nothing(as_max):
    coupon = make_coupon()
    url = reverse("billing:coupon_switch", args=[coupon.pk])

    assert "Nobody can use it from now on" in as_max.get(url).content.decode()
    for _ in range(2):
        as_max.post(url, {"active": "off"})
    coupon.refresh_from_db()
    assert not coupon.active
    assert "It can be used again" in as_max.get(url).content.decode()
    as_max.post(url, {"active": "on"})
    coupon.refresh_from_db()
    assert coupon.active
    assert Event.objects.filter(object_id=coupon.pk, type="coupon.switched_off").count() == 1


def test_a_duplicate_starts_with_the_terms_and_without_code_and_uses(as_max):
    coupon = make_coupon(code="FIRST", amount_off=500, currency="PHP", max_redemptions=7, name="Again")
    make_open_statement(coupon=coupon, currency="PHP")
    url = reverse("billing:coupon_duplicate", args=[coupon.pk])

    form = as_max.get(url).context["form"]
    assert (str(form["amount"].value()), form["max_redemptions"].value(), form["code"].value()) == ("₱5.00", 7, None)
    as_max.post(url, typed(percent_off="", amount="5.00", amount_currency="PHP", max_redemptions="7"))
    made = Coupon.objects.exclude(pk=coupon.pk).get()
    assert (made.off, made.times_redeemed, made.max_redemptions) == ("₱5.00 off", 0, 7)


# --- in the builder --------------------------------------------------------------------------------------------
BUILDER = "/billing/statements/new/"


def bill(customer=None, **fields):
    line = {"line": ["0"], "line-0-description": "Beans", "line-0-quantity": "2", "line-0-price": "21.80"}
    whom = {"customer": customer.pk, "email": customer.email} if customer else {}
    return {"currency": "USD", "due_on": in_days(14), "form_key": KEY, **line, **whom, **fields}


def test_the_builder_takes_a_code_and_the_preview_shows_the_discount(as_max):
    customer, coupon = make_customer(), make_coupon(code="TEN")

    preview = as_max.post(BUILDER, bill(customer, coupon="ten", update="1")).content.decode()
    assert "Discount, TEN" in preview
    assert "−$4.36" in preview
    assert "$39.24" in preview
    as_max.post(BUILDER, bill(customer, coupon="ten"))
    draft = BillingStatement.objects.get()
    assert (draft.coupon, draft.discount_amount, draft.total) == (coupon, 436, 3924)
    page = as_max.get(draft.get_absolute_url()).content.decode()
    assert "used when finalised" in page
    edit_page = as_max.get(reverse("billing:statement_edit", args=[draft.pk]))
    assert edit_page.context["form"]["coupon"].value() == "TEN"


def test_a_code_is_taken_off_a_draft_again(as_max):
    customer = make_customer()
    draft = make_statement(customer, coupon=make_coupon(code="TEN"))

    as_max.post(reverse("billing:statement_edit", args=[draft.pk]), bill(customer, coupon="", version="1"))
    draft.refresh_from_db()
    assert (draft.coupon, draft.discount_amount, draft.total) == (None, 0, 4360)
    assert Event.objects.latest().changes["coupon"] == ["TEN", None]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("NOSUCH", "There is no coupon NOSUCH."),
        ("OFF", "switched off"),
        ("OTHERS", "alone"),
        ("PESO", "in USD"),
        ("LIVE", "no coupon"),
    ],
)
def test_a_code_that_is_not_valid_here_is_told_at_the_field_and_saves_nothing(as_max, max, code, sentence):
    coupons.switch(make_coupon(code="OFF"), active=False, by=max)
    make_coupon(code="OTHERS", customer=make_customer(email="other@example.com"))
    make_coupon(code="PESO", amount_off=500, currency="PHP")
    make_coupon(code="LIVE", livemode=True)

    assert sentence in errors(as_max.post(BUILDER, bill(make_customer(), coupon=code)), "coupon")
    assert not BillingStatement.objects.exists()


def test_somebody_new_is_not_made_for_another_ones_coupon(as_max):
    make_coupon(code="OTHERS", customer=make_customer(email="other@example.com"))

    answer = as_max.post(BUILDER, bill(name="Ada", email="ada@example.com", coupon="OTHERS"))
    assert "alone" in errors(answer, "coupon")
    assert Customer.objects.count() == 1


def test_the_last_look_says_that_the_coupon_is_gone_and_the_draft_stays(as_max, max):
    coupon = make_coupon(code="GONE")
    draft = make_statement(coupon=coupon)
    coupons.switch(coupon, active=False, by=max)
    url = reverse("billing:statement_finalize", args=[draft.pk])

    assert "GONE is switched off." in as_max.get(url).content.decode()
    assert "GONE is switched off." in errors(as_max.post(url, {"version": "1"}), "__all__")
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_duplicating_a_statement_says_that_the_coupon_was_left_out(as_max):
    statement = make_open_statement(coupon=make_coupon(code="ONE", max_redemptions=1))
    url = reverse("billing:statement_duplicate", args=[statement.pk])

    answer = as_max.post(url, {"form_key": KEY}, follow=True)
    assert "Its coupon ONE was left out: ONE has been used once, which is all it can be." in answer.content.decode()


def test_voiding_says_that_the_use_is_given_back(as_max):
    statement = make_open_statement(coupon=make_coupon(code="BACK"))
    assert (
        "The coupon BACK gets its use back."
        in as_max.get(reverse("billing:statement_void", args=[statement.pk])).content.decode()
    )
