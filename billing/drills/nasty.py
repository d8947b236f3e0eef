"""Values nobody should send and somebody will: texts, JSON, headers, files. What once was a fault stays on these lists."""

import gzip
import io
import json
import zipfile

MARK = "<x-fuzz>"  # an element no page of ours has: one that shows it shows somebody's text as markup
TEXTS = [
    "", " ", "\0", "a\0b", "\x01\x1f\x7f", "\x85", "\ud800", "\udfff\ud800", "\ufeff", "\u202eevil", "\u200d", "é\u0301" * 20,
    "x" * 10_240, "x" * 600, "x" * 256, "é" * 5000,
    "%" * 300, "_" * 300, "*" * 500, "%", "_", "\\", "'", '"', "''", "' OR 1=1 --", '"; DROP TABLE x; --', "';--", "%s%s%n",
    "%(a)s", "{0}", "${7*7}", "{{7*7}}", "%_\\%" * 2500, "[" * 5000, "(a+)+" * 200, "a" * 49_999,
    MARK, f'"{MARK}', f"'>{MARK}", f"</script>{MARK}", "javascript:alert(1)", "<script>", "ZZ", "555-1234",
    "-1", "0", "1e999", "-0", "0x10", "1_000", "1,5", "NaN", "sNaN", "-Infinity", "Infinity", "9" * 400, "9" * 4301, "1" * 25,
    "2**64", "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "99999999999999999999", "1.5", "0.001", "1e-400", "1E+18", "0." + "0" * 400 + "1",
    "0000-00-00", "2024-02-30", "99999-01-01", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59Z", "0001-01-01T00:00+14:00",
    "today", "2024-13-01T25:61", "1970-01-01T00:00:00.000000000001Z", "2024-03-31T02:30",
    "null", "None", "true", "undefined", "[]", "{}", '{"a":', '["", ""]', "on", "__all__", "__class__", "pk", "customer__email",
    "../../etc/passwd", "..%2f..%2f", "//evil.example", "https://evil.example/", "\\\\evil", "/\\evil.example", "http:evil",
    "a" * 24, "cus_" + "a" * 24, "cus_" + "\0" * 24, "addr_" + "f" * 24, "cus_", "CUS_" + "A" * 24, "cus_" + "１" * 24,
    "AND", "NEAR(", '"a" OR', "a*", "^a", "(" * 50, "-a", "a NOT b", ":", "&|!<->", "+55 12", "+" + "9" * 15, "+0",
    "W251bGxd", "WzEsMl0", "WyJcdTAwMDAiLCAiY3VzXzAiXQ", "e30", "====", "Ws-A", "W05hTiwgImN1c18wIl0", "WzFlOTk5LCAiYSJd",
    "W1tb" * 25_000,
    "=cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "＝1", "山田太郎", "🦊" * 40, "🏳️‍🌈", "١٢٣", "²", "Ⅷ", "İ", "ß" * 300, "ﬁ",
    "\t\r\n", "a\r\nb: c", "a\r\nBcc: evil@example.com", "a@example.com\nb@example.com", "a@" + "b" * 64 + ".example",
    '"a b"@example.com', "a@[127.0.0.1]", "a@xn--", "ana@exämple.com", "@", "USD", "usd", "XXX", "JPY", "KWD", "PH",
]  # fmt: skip
PLAIN = (  # what is right somewhere
    "card 100 1.00 5 Ana ana@example.com +639175550123 USD PH 2030-01-31 2030-01-31T10:00 on 1 name -created_at individual en "
    "true paid open"
).split()
NUMBERS = [0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 0.1, 1e308, -0.0, 100, 1500]
DEEP = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"a":' * 19 + b"1" + b"}" * 19,
    b"[" * 25 + b"]" * 25,
    b'{"name":' + b"[" * 990 + b"]" * 990 + b"}",
]
RAW = [
    b"", b"null", b"[]", b'"a"', b"1", b"{", b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", '{"name": "a"}'.encode("utf-16"), b"\0",
    b"NaN",
    b'{"amount": NaN}', b'{"amount": 1e999}', b'{"amount": -Infinity}', b'{"amount": ' + b"9" * 5000 + b"}",
    b'{"name": "\\ud800"}', b'{"name": "\\u0000"}', b'{"name": "a", "name": {"b": []}}', b'{"": ""}',
    b'{"name": "' + b"x" * 300_000 + b'"}',
    b'{"metadata": {' + b",".join(b'"k%d": "v"' % n for n in range(2000)) + b"}}", b"a=1&b=2", b"<xml/>", *DEEP,
]  # fmt: skip
TYPES = [
    "application/json", "application/json; charset=utf-16", "text/plain", "text/html", "application/xml", "nonsense", "",
    "/", ";",
    "multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary=" + "b" * 300,
    "multipart/form-data; boundary=\u00e9", "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded; charset=nonsense", "application/x-www-form-urlencoded; charset=",
    "application/octet-stream",
]  # fmt: skip
HEADERS = {  # of these names …
    "Accept": ["*/*", "application/json", "text/html;q=nonsense", ",,,", "a/b/c"],
    "Accept-Language": ["en", "x" * 1000, "zh-Hant-TW, *;q=0.1", "q=;", "\xff"],
    "Accept-Encoding": ["gzip", "gzip;q=0", "nonsense", ","],
    "Authorization": ["Bearer", "Bearer ", "Basic !!!!", "Bearer sk_test_", "Bearer sk_test_" + "a" * 43, "sk_live_x",
                      "Bearer \xff", "Bearer " + "x" * 5000],
    "Host": ["localhost:99999", "evil.example", "localhost:", "[::1", "a b", "localhost@evil.example", ""],
    "HX-Request": ["true", "false", "1", "\xff"],
    "HX-Target": ["panel", "list", "x" * 600, "\xff"],
    "HX-Current-URL": ["http://localhost/customers/", "//evil", "\xff", "http://[", "x" * 9000],
    "Idempotency-Key": ["", "k", "x" * 256, "\xff", "\x7f", "a,b", "repeated"],
    "If-Modified-Since": ["nonsense", "Sat, 99 Foo 9999 99:99:99 GMT"],
    "If-None-Match": ['"', "*", "W/"],
    "Range": ["bytes=0-", "bytes=-1", "bytes=9-1", "nonsense"],
    "Referer": ["http://[", "//evil.example", "\xff", "x" * 9000],
    "Origin": ["null", "http://evil.example", "http://["],
    "User-Agent": ["", "x" * 5000, "\xff\x01", "Mozilla/5.0 (Windows NT 10.0; rv:1) Gecko Firefox/1", "' OR 1=1"],
    "X-Forwarded-For": ["1.2.3.4", "not an address", "::1, ::2, ::3", "", "1.2.3.4" + ", 9.9.9.9" * 500, "\xff"],
    "X-Forwarded-Proto": ["https", "javascript", ""],
    "X-Http-Method-Override": ["DELETE", "\xff"],
    "Content-Length": ["0", "-1", "nonsense", "99999999999", "9" * 5000, "\xb2", "1", ""],
    "Sandbox-Signature": ["", "t=", "t=1,v1=", "t=99999999999999999999,v1=0", "t=\u00b2,v1=0", "t=1,t=2,v1=0", "\xff"],
}  # fmt: skip
COOKIES = [
    "", ";", "=", "session", "session=", "session=;session=x", "session=" + "x" * 5000, "session=../../x", "session=\xff",
    "csrf=\xff",
    'session="', "csrf=" + "A" * 64, "messages=W1siX19qc29uX21lc3NhZ2UiXQ", "theme=<x>", "theme=" + "x" * 5000,
    "a=b; " * 300, "\x01=\x02",
    "sessionid=1; session=null", "view=\\073", "$Version=1; session=a",
]  # fmt: skip
VERBS = ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "get", "X" * 100]
CARDS = ["4539578763621486", "4539 5787 6362 1486", "card 4539-5787-6362-1486, exp 12/29", "4539 5787 6362 1486 123"]
CARD = CARDS[0]


def text(chance):
    """One of these, two of them together, something good, or random characters of any plane."""
    if (die := chance.random()) < 0.6:
        return chance.choice(TEXTS)
    if die < 0.7:
        return chance.choice(TEXTS) + chance.choice(TEXTS)
    if die < 0.8:
        return chance.choice(PLAIN)
    if die < 0.84:
        return chance.choice(CARDS)
    planes = (0x80, 0x3000, 0x10FFFF)
    return "".join(chr(chance.randrange(chance.choice(planes))) for _ in range(chance.randrange(60)))


def value(chance, level=0):
    """Something for JSON, of any type; what a body cannot spell is left to RAW."""
    die = chance.random()
    if die < 0.5 or level > 2:
        return text(chance)
    if die < 0.7:
        return chance.choice(NUMBERS)
    if die < 0.8:
        return chance.choice([None, True, False])
    if die < 0.9:
        return [value(chance, level + 1) for _ in range(chance.choice((0, 1, 3, 60)))]
    return {text(chance): value(chance, level + 1) for _ in range(chance.choice((0, 1, 3, 60)))}


def spoilt(body, chance):
    """A JSON value with some of its parts replaced, left out, repeated or joined by others."""
    if isinstance(body, dict) and body and chance.random() < 0.9:
        name = chance.choice(list(body))
        fate = chance.random()
        if fate < 0.7:
            return {**body, name: spoilt(body[name], chance)}
        if fate < 0.85:
            return {n: v for n, v in body.items() if n != name}
        return {**body, text(chance): value(chance)}
    if isinstance(body, list) and body and chance.random() < 0.8:
        return [*body[:-1], spoilt(body[-1], chance)] * chance.choice((1, 1, 2, 101))
    return value(chance)


def as_json(body):
    """Bytes of a JSON body: lone surrogates and control signs are escaped, as any client's are."""
    return json.dumps(body).encode()


def _zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("[Content_Types].xml", "<x/>")
    return out.getvalue()


FILES = [
    b"", b"\n", b"\0", b"name", b"name,email\n", b"name,email\nAna,ana@example.com\n", b"name,name,name\na,b,c\n", b",,,\n,,,\n",
    b'name,email\n"Ana,ana@example.com\n' + b"x\n" * 50, b"name\n" + b"x" * 140_000 + b"\n",
    b"name,email\nAna\nBo,b@example.com,more,yet\n",
    b"\xef\xbb\xbfname;email\r\nAna;ana@example.com\r\n", "name,email\nAna,ana@example.com\n".encode("utf-16"),
    b"name,phone\n\xff\xfe\x80,+63\n", gzip.compress(b"name\n" + b"a" * 100_000), _zipped(), b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    b"name,description,currency,address_country\n=cmd|' /C calc'!A0,a\0b,XXX,ZZ\n\x01,\x7f,usd,ph\n", b"name\r" * 300,
    b"a," * 300 + b"\n",
    b"name,metadata.a b,metadata.\n" + b"x,y,z\n" * 200, ("name\n" + "🦊" * 300 + "\n").encode(),
    b"name,email\nAna,4539578763621486\n",
    b"kind,first_name,email,phone,address_line1\nindividual,\xe2\x80\xae,@,+999999999999999999,x\ncompany,,,,\n" * 3,
]  # fmt: skip
