"""Sixty texts that try to be more than text: markup, addresses, templates, formulas, headers, invisible signs.

Whatever would make an element or an attribute of its own carries MARK in its name, early, so that a text that is cut to its
field's length still shows what it did.
"""

MARK = "zqx"
EVALUATED = "zqxyes"  # what a template would make of the texts that ask it to join the mark and a yes
HARMLESS = tuple(f"Zqx{n}, plain words of no danger" for n in range(60))

ELEMENTS = (
    "<script zqx>alert('zqx')</script>",
    "<img zqx src=x onerror=alert('zqx')>",
    "<svg zqx onload=alert('zqx')>",
    "<svg zqx><script>alert('zqx')</script></svg>",
    "<iframe zqx srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<style zqx>*{display:none}@import'//zqx.example'</style>",
    "<details zqx open ontoggle=alert('zqx')>x</details>",
    "<math zqx><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<form zqx action='//zqx.example'><button formaction='javascript:alert(1)'>Pay",
    "<base zqx href='//zqx.example/'>",
    "<meta zqx http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<object zqx data='data:text/html,<script>alert(1)</script>'></object>",
    "<input zqx autofocus onfocus=alert('zqx')>",
    "<template zqx><b>x</b></template><zqx-own>x",
    "<IMG/zqx/SRC=x/ONERROR=alert(1)//",
    "<div zqx hx-get='/accounts/logout/' hx-trigger=load>x</div>",
)
BREAKERS = (
    '"><img zqx src=x onerror=alert(1)>',
    "'><img zqx src=x onerror=alert(1)>",
    '" zqx onmouseover="alert(1)',
    "' zqx onmouseover='alert(1)",
    "` zqx onmouseover=alert(1) `",
    " zqx onfocus=alert(1) autofocus ",
    '"zqx="1" style="position:fixed;inset:0',
    "</title><b zqx>x</title>",
    "</textarea><b zqx onclick=alert(1)>x",
    "</script><script zqx>alert('zqx')</script>",
    "--><b zqx>x<!-- zqx",
    "<!-- zqx",
    "]]><b zqx>x<![CDATA[<b zqx>]]>",
    "<?zqx version='1.0'?><!DOCTYPE zqx [<!ENTITY zqx 'x'>]>",
    "</select></option><b zqx>x",
    "</td></tr></table><b zqx>x",
    '\'}zqx:{"a":"</b><b zqx>',
)
ADDRESSES = (
    "javascript:alert('zqx')//zqx",
    " \tJaVa\nScRiPt:alert('zqx')",
    "data:text/html,<script zqx>alert(1)</script>",
    'https://zqx.example/?a=1&b="><b zqx>',
    "//zqx.example/<b zqx>",
    '[zqx](javascript:alert(1)) ![zqx](x"onerror="alert(1))',
    "<javascript:alert(1)> zqx@zqx.example www.zqx.example",
)
TEMPLATES = (
    '{{ "zqx"|add:"yes" }}{% now "Y" %}',
    "{% include 'zqx' %}{# zqx #}${'zqx'+'yes'}#{'zqx'+'yes'}",
    "&lt;b zqx&gt;x &#60;b zqx&#62; &amp;lt;b zqx&amp;gt;",
    "\\u003cb zqx\\u003e \\x3cb zqx\\x3e %3Cb zqx%3E",
)
SIGNS = (
    "\uff1cb zqx\uff1e \u2039b zqx\u203a \ufe64b zqx\ufe65",
    "zqx\u2028<b zqx>\u2029line",
    "Ana \u202egnp.zqx\u2066 Cruz\u200f",
    "A\u200bn\u200ca \u2060zqx\ufeff Cruz\u00ad",
)
FORMULAS = (
    '=HYPERLINK("//zqx.example","zqx")',
    "+zqx|' /C calc'!A0",
    "-2+3+cmd|' /C zqx'!A0",
    "@SUM(1+1)*cmd|' /C zqx'!A0",
    "\t=1+1 zqx",
    "\uff1d1+1 zqx",
)
HEADERS = ("zqx\r\nBcc: zqx@zqx.example\r\n\r\n<b zqx>x",)
LONG = ("<b zqx>" + "zqx" * 900,)

TOGETHER = (  # the short form's: each opens every kind of mark-up, and the four begin as the four other dangers do
    '\'"><b zqx onclick=alert(1)></title></textarea></script>{{ "zqx"|add:"yes" }}\u202e<!--',
    '=1+\'"><b zqx>|cmd\' !A0 &lt;b zqx&gt; `{{ "zqx"|add:"yes" }}',
    "javascript:/*'\"><b zqx>*/alert(1)//\u200b" + "zqx" * 150,
    "\r\nBcc: '\"><b zqx>@zqx.example\r\n\r\nzqx\u2028--><b zqx>",
)

STRINGS = (*ELEMENTS, *BREAKERS, *ADDRESSES, *TEMPLATES, *SIGNS, *FORMULAS, *HEADERS, *LONG, *TOGETHER)
