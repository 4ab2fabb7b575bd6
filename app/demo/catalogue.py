"""What the generated world is made of: markets, carriers and their code formats, goods, names and places.

Plain data, chosen to look real and to belong to nobody: people and firms are invented, mail goes to example domains.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Market:
    """A channel and who buys there. `weight` is its share of the orders; `countries` are its buyers'."""

    code: str
    name: str
    currency: str
    language: str
    countries: tuple[str, ...]
    sells_to_companies: bool
    weight: int


MARKETS = (
    Market("default", "Default", "USD", "EN", ("US",), True, 30),
    Market("b2b-de", "B2B Deutschland", "EUR", "DE", ("DE", "DE", "AT", "CH"), True, 20),
    Market("webshop-nl", "Webshop Nederland", "EUR", "NL", ("NL", "NL", "NL", "BE"), False, 35),
    Market("webshop-uk", "Webshop United Kingdom", "GBP", "EN", ("GB",), False, 15),
)

# Percentages by tax class: high, low, none. Goods leave Europe, and enter the United States, without tax.
TAXES = {
    "NL": {"H": 21, "L": 9, "N": 0},
    "BE": {"H": 21, "L": 6, "N": 0},
    "DE": {"H": 19, "L": 7, "N": 0},
    "AT": {"H": 20, "L": 10, "N": 0},
    "GB": {"H": 20, "L": 5, "N": 0},
    "CH": {"H": 0, "L": 0, "N": 0},
    "US": {"H": 0, "L": 0, "N": 0},
}


@dataclass(frozen=True)
class Carrier:
    """`pattern` makes a code of a serial number below 10⁹; `url` is the tracking page, None where there is none."""

    name: str
    url: str | None
    pattern: str


CARRIERS = (
    Carrier("PostNL", "https://postnl.nl/tracktrace/?B={code}", "3SWBIL{:09d}"),
    Carrier("FedEx", "https://www.fedex.com/fedextrack/?trknbr={code}", "612{:09d}"),
    Carrier("DHL", "https://www.dhl.com/en/express/tracking.html?AWB={code}", "JVGL04{:014d}"),
    Carrier("DPD", "https://tracking.dpd.de/status/en_US/parcel/{code}", "05138{:09d}"),
    Carrier("UPS", "https://www.ups.com/track?tracknum={code}", "1Z84W2E0{:010d}"),
    Carrier("GLS", "https://gls-group.com/track/{code}", "71{:09d}"),
    Carrier("Standard Post", None, "RR{:09d}WB"),
)

# Which carriers bring parcels to a country; named twice, twice as often.
DELIVERED_BY = {
    "NL": ("PostNL", "PostNL", "PostNL", "DHL", "DHL", "DPD", "GLS", "Standard Post"),
    "BE": ("PostNL", "DPD", "GLS", "UPS"),
    "DE": ("DHL", "DHL", "DHL", "DPD", "GLS", "UPS"),
    "AT": ("DHL", "DPD", "GLS"),
    "CH": ("DHL", "DPD", "UPS"),
    "GB": ("DPD", "DPD", "UPS", "DHL", "Standard Post"),
    "US": ("UPS", "UPS", "FedEx", "FedEx", "Standard Post"),
}


@dataclass(frozen=True)
class Good:
    """An article: names by language, list price in cents without tax, tax class, weight in grams."""

    sku: str
    names: dict[str, str]
    cents: int
    tax: str
    grams: int


def _good(sku: str, english: str, dutch: str, german: str, cents: int, tax: str, grams: int) -> Good:
    return Good(sku, {"EN": english, "NL": dutch, "DE": german}, cents, tax, grams)


GOODS = (
    _good("WB-10012", "Hex bolts M8x40, 100", "Zeskantbouten M8x40, 100", "Schrauben M8x40, 100", 1845, "H", 1900),
    _good("WB-10027", "Wood screws 4x50, 200", "Houtschroeven 4x50, 200", "Holzschrauben 4x50, 200", 1195, "H", 950),
    _good("WB-10115", "Cordless drill 18V", "Accuboormachine 18V", "Akku-Bohrschrauber 18V", 15900, "H", 2300),
    _good("WB-10118", "Lithium battery 18V 4.0Ah", "Lithiumaccu 18V 4,0Ah", "Lithium-Akku 18V 4,0Ah", 6450, "H", 640),
    _good("WB-10140", "Jigsaw 650W", "Decoupeerzaag 650W", "Stichsäge 650W", 8990, "H", 2500),
    _good("WB-10203", "Spirit level 60 cm", "Waterpas 60 cm", "Wasserwaage 60 cm", 2375, "H", 480),
    _good("WB-10230", "Tape measure 5 m", "Rolmaat 5 m", "Bandmaß 5 m", 895, "H", 260),
    _good("WB-10311", "Safety helmet, white", "Veiligheidshelm, wit", "Schutzhelm, weiß", 1420, "H", 390),
    _good("WB-10318", "Work gloves, size 10", "Werkhandschoenen, maat 10", "Arbeitshandschuhe, Größe 10", 349, "H", 80),
    _good("WB-10322", "Safety shoes S3, 43", "Werkschoenen S3, 43", "Sicherheitsschuhe S3, 43", 7495, "H", 1350),
    _good("WB-10405", "Cable 2.5 mm², 100 m", "Draad 2,5 mm², 100 m", "Leitung 2,5 mm², 100 m", 4990, "H", 3100),
    _good("WB-10412", "LED panel 60x60 36W", "Ledpaneel 60x60 36W", "LED-Panel 60x60 36W", 3895, "H", 2100),
    _good("WB-10418", "Wall socket, double", "Stopcontact, dubbel", "Steckdose, zweifach", 725, "H", 120),
    _good("WB-10501", "Interior paint, white, 10 l", "Muurverf, wit, 10 l", "Wandfarbe, weiß, 10 l", 5425, "H", 14200),
    _good("WB-10507", "Paint roller set", "Verfrollerset", "Farbroller-Set", 1150, "H", 520),
    _good("WB-20110", "Office chair, mesh back", "Bureaustoel, netrug", "Bürostuhl, Netzrücken", 18900, "H", 14500),
    _good("WB-20124", "Standing desk 160 cm", "Zit-stabureau 160 cm", "Stehpult 160 cm", 42900, "H", 38000),
    _good("WB-20133", "Copy paper A4, 5 reams", "Kopieerpapier A4, 5 pak", "Kopierpapier A4, 5 Pack", 2290, "H", 12500),
    _good("WB-20140", "Desk lamp, LED", "Bureaulamp, led", "Schreibtischlampe, LED", 3650, "H", 1400),
    _good("WB-30105", "Coffee beans, dark, 1 kg", "Koffiebonen, 1 kg", "Kaffeebohnen, dunkel, 1 kg", 1575, "L", 1020),
    _good("WB-30111", "Green tea, 100 bags", "Groene thee, 100 zakjes", "Grüner Tee, 100 Beutel", 845, "L", 240),
    _good("WB-30120", "Mineral water 24x0.5 l", "Mineraalwater 24x0,5 l", "Mineralwasser 24x0,5 l", 1090, "L", 12400),
    _good("WB-30131", "Chocolates, 500 g", "Bonbons, 500 g", "Pralinen, 500 g", 1325, "L", 560),
    _good("WB-40102", "Handbook of timber construction", "Handboek houtbouw", "Handbuch Holzbau", 4850, "L", 1250),
    _good("WB-90001", "Gift voucher", "Cadeaubon", "Geschenkgutschein", 2500, "N", 10),
)  # fmt: skip

COUPONS = {"WELCOME10": 10, "SUMMER5": 5, "THANKYOU15": 15}

FIRST_NAMES = {
    "EN": ("Olivia", "Noah", "Amelia", "Liam", "Grace", "Ethan", "Chloe", "Mason", "Ruby", "Henry", "Isla", "Jack"),
    "NL": ("Emma", "Daan", "Julia", "Sem", "Sanne", "Bram", "Fleur", "Lars", "Anouk", "Jeroen", "Lotte", "Thijs"),
    "DE": ("Hannah", "Leon", "Mia", "Felix", "Lena", "Jonas", "Clara", "Paul", "Sophie", "Moritz", "Katrin", "Jürgen"),
}

LAST_NAMES = {
    "EN": ("Walker", "Hughes", "Carter", "Bennett", "Foster", "Sullivan", "Parker", "Reed", "Morgan", "Ellis", "Hayes"),
    "NL": ("Jansen", "de Boer", "Visser", "Bakker", "van Dam", "Mulder", "Smit", "Dekker", "Kuipers", "van den Berg"),
    "DE": ("Schneider", "Fischer", "Weber", "Wagner", "Becker", "Schäfer", "Koch", "Richter", "Klein", "Vogel", "Lang"),
}

FIRM_NAMES = (
    "Alder", "Beacon", "Cobalt", "Delta", "Ember", "Falcon", "Granite", "Harbor", "Ivory", "Juniper", "Keystone",
    "Lumen", "Meridian", "Nordic", "Orchard", "Pinnacle", "Quarry", "Ridge", "Summit", "Tandem", "Union", "Vector",
)  # fmt: skip

FIRM_TRADES = {
    "EN": ("Construction", "Interiors", "Electric", "Logistics", "Facilities", "Catering", "Supply", "Hotels"),
    "DE": ("Bau", "Elektrotechnik", "Haustechnik", "Innenausbau", "Handel", "Gastronomie", "Werkzeuge"),
}

FIRM_FORMS = {"US": "Inc.", "DE": "GmbH", "AT": "GmbH", "CH": "AG"}

STREETS = {
    "NL": ("Dorpsstraat", "Kerkstraat", "Molenweg", "Stationsweg", "Beatrixlaan", "Lindelaan"),
    "BE": ("Nieuwstraat", "Kapellestraat", "Veldstraat", "Bruglaan"),
    "DE": ("Hauptstraße", "Bahnhofstraße", "Gartenweg", "Lindenallee", "Industriestraße"),
    "AT": ("Wiener Straße", "Schulgasse", "Feldgasse"),
    "CH": ("Bahnhofstrasse", "Seestrasse", "Dorfstrasse"),
    "GB": ("High Street", "Church Lane", "Station Road", "Mill Lane", "Victoria Road"),
    "US": ("Main Street", "Oak Avenue", "Commerce Drive", "Lake Road", "Industrial Parkway"),
}

# City and postal code by country; in the United States the state as well.
CITIES: dict[str, tuple[tuple[str, str, str | None], ...]] = {
    "NL": (
        ("Utrecht", "3511 AB", None),
        ("Zwolle", "8011 LK", None),
        ("Eindhoven", "5611 EM", None),
        ("Groningen", "9711 HN", None),
    ),
    "BE": (("Gent", "9000", None), ("Antwerpen", "2000", None), ("Leuven", "3000", None)),
    "DE": (("Köln", "50667", None), ("Leipzig", "04109", None), ("Stuttgart", "70173", None), ("Kiel", "24103", None)),
    "AT": (("Graz", "8010", None), ("Linz", "4020", None)),
    "CH": (("Zürich", "8001", None), ("Bern", "3011", None)),
    "GB": (("Leeds", "LS1 4DY", None), ("Bristol", "BS1 5TR", None), ("Norwich", "NR1 3JU", None)),
    "US": (
        ("Columbus", "43215", "OH"),
        ("Denver", "80202", "CO"),
        ("Austin", "78701", "TX"),
        ("Portland", "97204", "OR"),
    ),
}

PHONE_PREFIXES = {
    "NL": "+31 30 555",
    "BE": "+32 9 555",
    "DE": "+49 221 555",
    "AT": "+43 316 555",
    "CH": "+41 44 555",
    "GB": "+44 113 496",
    "US": "+1 614 555",
}
