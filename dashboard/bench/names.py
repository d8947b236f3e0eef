"""Names for made-up customers: common ones, and a long tail so that words are as rare as in life."""

FIRST = """
Mary James Maria Wei Fatima Ahmed Olga Ivan Yuki Haruto Ana Luís José Carlos Sofía Lucía Mateo Emma Liam Noah Olivia
Ava Mia Lucas Hugo Louise Léa Jules Chloé Anna Lena Jonas Paul Marie Félix Björn Astrid Sigrún Guðrún Einar Freyja
Kwame Ama Kofi Adaeze Chinedu Thabo Naledi Amina Omar Layla Yusuf Zeynep Mehmet Elif Priya Arjun Ananya Rohan Neha
Ravi Minh Linh Huong Thanh Somchai Niran Rizal Jomar Althea Andres Jasmine Angelo Bea Paolo Giulia Marco Chiara Matteo
Nadia Piotr Agnieszka Zofia Jakub Tomáš Eliška Dmitri Katarzyna László Eszter Ioana Andrei Nikos Eleni Hana Min-jun
Seo-yeon Hye-jin Chen Xin Jing Hui Aroha Tane Moana Keanu Diego Valentina Camila Thiago João Beatriz Rafael Inês
""".split()
LAST = """
Garcia Brown Williams Jones Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Thomas Taylor
Moore Jackson Martin Lee Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen
Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Santos Reyes Cruz Bautista Ocampo Villanueva
Aquino Dizon Müller Schmidt Schneider Fischer Weber Wagner Becker Hoffmann Schäfer Dubois Durand Lefèvre Moreau Girard
Rossi Russo Ferrari Esposito Bianchi Colombo Ricci Silva Souza Oliveira Pereira Gonçalves Almeida Tanaka Suzuki
Watanabe Takahashi Kobayashi Yamamoto Kim Park Choi Jeong Wang Zhang Liu Huang Zhao Khan Patel Singh Sharma Gupta
Mehta Hussain Malik Yılmaz Demir Kaya Kowalski Nowak Wiśniewski Novák Svoboda Dvořák Popescu Horváth Nagy Papadopoulos
Jónsson Sigurðardóttir Þorsteinsson Lindqvist Nyström Haugen Virtanen Mensah Okafor Adeyemi Dlamini Nkosi Mwangi
""".split()
SYLLABLES = """
ba be bo bri ca chen da del do du el en fa fer ga gol ha hel hol im in ja jor ka kel ko kri la len li lo ma mar men mi
mo na nel ni no ol or pa per pol qua ra ren ri ro sa sel si so sta ta tel ti to tra u va ver vi wa wen wi xa ya yo za zo
""".split()
ENDINGS = "man ski son sen dottir berg stein well ton ley field wood worth ez es ini elli eau ier ova enko idis akis".split()
COMPANY = "Trading Logistics Supply Studio Foods Textiles Marine Energy Medical Books Coffee Motors Travel Design".split()
LEGAL = "Ltd GmbH Inc. S.A. BV ehf. Pty Corp.".split()
DOMAINS = ("mail.test", "example.com", "example.org", "post.test", "office.test")
DOMAIN_WEIGHTS = (25, 30, 20, 15, 10)
COUNTRIES = {  # alpha-2: (share per mille, currency, how its phone numbers start, digits that follow)
    "US": (300, "USD", "+14152", 6),
    "PH": (120, "PHP", "+63917", 7),
    "DE": (90, "EUR", "+49151", 8),
    "GB": (80, "GBP", "+447400", 6),
    "FR": (70, "EUR", "+3361", 7),
    "BR": (60, "BRL", "+551198", 7),
    "IN": (60, "INR", "+9198", 8),
    "JP": (50, "JPY", "+81908", 7),
    "CA": (45, "CAD", "+16132", 6),
    "AU": (35, "AUD", "+6141", 7),
    "ES": (30, "EUR", "+3461", 7),
    "IT": (25, "EUR", "+39347", 7),
    "KW": (10, "KWD", "+965660", 5),
    "SG": (10, "SGD", "+6591", 6),
    "ZA": (10, "ZAR", "+2782", 7),
    "IS": (5, "ISK", "+35469", 5),
}
CITIES = "Springfield Riverton Lakeside Hillview Oakwood Fairmont Georgetown Kingston Newport Ashford".split()
STREETS = "High Street,Station Road,Mill Lane,Church Street,Park Avenue,Harbour Way,Queen Street,Market Square".split(",")
