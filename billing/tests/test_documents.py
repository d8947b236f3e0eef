"""Statements and receipts as PDF. The text is read back from the files themselves, through the fonts' own maps."""

import re
import zlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from billing.documents import attach_owed_statement, attach_statement, receipt_pdf, statement_pdf
from billing.domain.payments import record_payment
from billing.tests.factories import make_customer, make_open_statement, make_statement
from customers import domain as customers
from dashboard.mail import Unwanted
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


def streams(pdf):
    """The content of every stream, decompressed where it is compressed."""
    found = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    return [zlib.decompressobj().decompress(raw) if raw[:1] == b"\x78" else raw for raw in found]


def letter_maps(pdf):
    """{font's name in the pages: {glyph code: letter}} from the ToUnicode maps, in the order the fonts are embedded."""
    maps = []
    for stream in streams(pdf):
        if b"beginbfchar" in stream or b"beginbfrange" in stream:
            pairs = re.findall(rb"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]{4,8})>", stream)
            maps.append({int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in pairs})
    return maps


def text_of(pdf):
    """The pages' words, as a reader would copy them. Each piece is read by the font that was set before it."""
    maps = letter_maps(pdf)
    fonts = dict(re.findall(rb"/(F\d+) (\d+) 0 R", pdf))
    order = {name: n for n, name in enumerate(sorted(fonts, key=lambda f: int(f[1:])))}
    words = []
    for stream in streams(pdf):
        if b" Tf" in stream:
            for font, raw in re.findall(rb"/(F\d+) [\d.]+ Tf|(\((?:\\.|[^\\)])*\)) ?Tj", stream, re.S):
                if font:
                    letters = maps[order[font]]
                else:
                    words.append("".join(letters.get(code, "\ufffd") for code in codes(raw[1:-1])))
    return "\n".join(words)


def codes(raw):
    """The two-byte glyph codes of a PDF string."""
    names = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    plain = re.sub(rb"\\([0-7]{3}|.)", lambda m: names.get(m[1], m[1]), raw, flags=re.S)
    return [plain[i] << 8 | plain[i + 1] for i in range(0, len(plain) - 1, 2)]


def lines_of(pdf):
    return [line for line in text_of(pdf).splitlines() if line]


NAME = "Łucja Gonçalves Nguyễn"


def make_frozen(**fields):
    address = {"line1": "12 Bągien", "city": "Kraków", "postal_code": "31-001", "country": "PL"}
    customer = make_customer(first_name="Łucja", last_name="Gonçalves Nguyễn", address=address, currency="PHP")
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    lines = (("Café crème, 5 kg à 10 €", 2, 21800), ("Delivery", 1, 5000))
    given = {"lines": lines, "currency": "PHP", "at": at, "due_at": at + timedelta(days=400)}
    return make_open_statement(customer, **given | fields)


def test_peso_euro_and_accents_are_right():
    text = text_of(statement_pdf(make_frozen()))

    for words in (NAME, "Café crème, 5 kg à 10 €", "₱218.00", "₱436.00", "₱486.00", "12 Bągien", "Kraków", "22 Nov 2026"):
        assert words in text, words
    assert "\ufffd" not in text


def test_the_fonts_hold_what_people_are_called():
    from fontTools.ttLib import TTFont

    from billing.documents.paper import FONTS

    wanted = "₱€£¥₩₹₫₺ łŁễỗçñøßðþıİğşăâîțșČžő ΑΩά Жщї −–—’“”…×·"
    for name in ("Inter-Regular.ttf", "Inter-SemiBold.ttf"):
        held = TTFont(FONTS / name).getBestCmap()
        assert [c for c in wanted if ord(c) not in held] == []


def test_a_letter_in_two_pieces_is_printed_as_one():
    import unicodedata

    statement = make_frozen(lines=((unicodedata.normalize("NFD", "Nguyễn café"), 1, 100),))

    assert "Nguyễn café" in text_of(statement_pdf(statement))


def test_a_frozen_statement_is_the_same_bytes_after_its_customer_changed(alice):
    statement = make_frozen()
    before = statement_pdf(statement)

    customers.update_customer(
        statement.customer,
        by=alice,
        version=statement.customer.version,
        first_name="Other",
        email="other@example.com",
        tax_id="X1",
    )
    customers.update_address(statement.customer.address, by=alice, line1="Elsewhere 1", city="Manila", country="PH")
    statement = type(statement).objects.get(pk=statement.pk)

    assert statement_pdf(statement) == before
    assert NAME in text_of(before)


def test_a_draft_is_not_frozen_and_says_draft(alice):
    draft = make_statement()
    before = text_of(statement_pdf(draft))
    customers.update_customer(draft.customer, by=alice, version=draft.customer.version, first_name="Other")
    draft = type(draft).objects.get(pk=draft.pk)

    assert "DRAFT" in before.splitlines()
    assert "Marta Santos" in before
    assert "Other Santos" in text_of(statement_pdf(draft))


def test_an_open_statement_does_not_say_draft():
    assert "DRAFT" not in text_of(statement_pdf(make_frozen()))


def test_what_was_paid_is_taken_off_what_is_due(alice):
    statement = make_frozen()
    record_payment(statement.customer, amount=10000, currency="PHP", statement=statement, by=alice)
    statement.refresh_from_db()

    lines = lines_of(statement_pdf(statement))

    assert lines[lines.index("Paid") + 1] == "−₱100.00"
    assert lines[lines.index("Amount due") + 1] == "₱386.00"


def test_the_link_to_pay_is_on_what_is_owed_and_on_nothing_else(alice):
    statement = make_frozen()
    assert statement.url in text_of(statement_pdf(statement))
    assert statement.token not in text_of(statement_pdf(statement, masked=True))

    record_payment(statement.customer, amount=48600, currency="PHP", statement=statement, by=alice)
    statement.refresh_from_db()

    assert statement.status == "paid"
    assert statement.token not in text_of(statement_pdf(statement))


def test_long_statements_go_over_pages_with_their_headings():
    lines = tuple((f"Position {n}, " + "w" * 3 + " word" * 40, n, 100) for n in range(1, 61))
    text = lines_of(statement_pdf(make_frozen(lines=lines)))

    pages = [line for line in text if line.startswith("Page ")]
    assert len(pages) > 4
    assert text.count("Unit price") == len(pages)  # the totals stand on the last page, below lines
    assert sum(line.startswith("Position ") for line in text) == 60


def test_a_word_without_end_stays_on_the_paper():
    assert "w" * 20 in text_of(statement_pdf(make_frozen(lines=(("w" * 500, 1, 100),))))


def test_staff_without_contact_data_get_it_hidden():
    statement = make_frozen()
    text = text_of(statement_pdf(statement, masked=True))

    assert [told for told in ("12 Bągien", "marta@example.com", "31-001") if told in text] == []
    assert [kept for kept in ("m•••@example.com", "Poland", NAME) if kept not in text] == []


# --- receipts -----------------------------------------------------------------------------------------------------


def make_payment(alice, **fields):
    statement = make_frozen()
    given = {"amount": 48600, "currency": "PHP", "statement": statement, "by": alice, "method_type": "cash"}
    return record_payment(statement.customer, **given | fields)


def test_a_receipt_says_who_paid_what_when_and_for_what(alice):
    payment = make_payment(alice, description="note to self", merchant_reference_id="INTERNAL-7", metadata={"k": "internal-meta"})
    text = text_of(receipt_pdf(payment))

    for words in ("Receipt", "₱486.00 paid", NAME, "Cash", f"Billing statement {payment.statement.number}", payment.pk):
        assert words in text, words
    for words in ("note to self", "INTERNAL-7", "internal-meta"):
        assert words not in text, words


def test_a_receipt_tells_what_was_given_back(alice):
    from billing.domain.refunds import create_refund

    payment = make_payment(alice)
    create_refund(payment, amount=8600, reason="others", by=alice, destination="credit")
    payment = type(payment).objects.get(pk=payment.pk)

    lines = lines_of(receipt_pdf(payment))

    assert lines[lines.index("Refunded since") + 1] == "₱86.00"
    assert lines[lines.index("Kept") + 1] == "₱400.00"


def test_a_receipt_is_the_same_bytes_every_time(alice):
    payment = make_payment(alice)

    assert receipt_pdf(payment) == receipt_pdf(type(payment).objects.get(pk=payment.pk))


def test_what_is_not_paid_has_no_receipt(alice):
    payment = make_payment(alice)
    payment.status = "failed"

    with pytest.raises(DomainError):
        receipt_pdf(payment)


# --- attachments and downloads ----------------------------------------------------------------------------------


def test_a_mail_does_not_remind_of_what_is_paid_or_void():
    statement = make_frozen()
    name, media_type, data = attach_owed_statement(statement)
    assert (name, media_type, data[:5]) == (f"{statement.number}.pdf", "application/pdf", b"%PDF-")

    statement.status = "void"
    for attach in (attach_statement, attach_owed_statement):
        with pytest.raises(Unwanted):
            attach(statement)
    statement.status = "paid"
    statement.paid_at = timezone.now()
    with pytest.raises(Unwanted):
        attach_owed_statement(statement)
    assert attach_statement(statement)


@pytest.fixture
def paths(alice):
    payment = make_payment(alice)
    return SimpleNamespace(
        statement=f"/billing/statements/{payment.statement_id}/statement.pdf",
        receipt=f"/billing/payments/{payment.pk}/receipt.pdf",
        payment=payment,
    )


def test_staff_download_them_and_reporting_gets_contact_data_hidden(paths, as_sue, as_rita):
    for path in (paths.statement, paths.receipt):
        answer = as_sue.get(path)
        assert answer.status_code == 200
        assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/pdf", "no-store")
        assert answer["Content-Disposition"].startswith("attachment;")
        assert "marta@example.com" in text_of(answer.content)
        hidden = text_of(as_rita.get(path).content)
        assert "marta@example.com" not in hidden
        assert "m•••@example.com" in hidden


def test_a_payment_that_failed_has_no_receipt_to_download(paths, as_sue):
    type(paths.payment).objects.filter(pk=paths.payment.pk).update(status="failed")

    assert as_sue.get(paths.receipt).status_code == 404
