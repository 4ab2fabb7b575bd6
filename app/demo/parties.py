"""Draws who buys: companies with daughters and contacts, and customers. Pure, like the order book."""

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from app.demo.catalogue import (
    CITIES,
    FIRM_FORMS,
    FIRM_NAMES,
    FIRM_TRADES,
    FIRST_NAMES,
    LAST_NAMES,
    PHONE_PREFIXES,
    STREETS,
    Market,
)
from app.demo.dice import Dice, Row, Tables
from app.demo.orderbook import Buyer

# One order in so many is a new company's or customer's; the caps keep memory bounded however many orders are asked for.
_ORDERS_PER_COMPANY, _MOST_COMPANIES = 50, 2_000
_ORDERS_PER_CUSTOMER, _MOST_CUSTOMERS = 6, 30_000


class Parties:
    """`tables` holds the rows for COPY in the order of their foreign keys, `buyers` those who may order by market."""

    def __init__(
        self,
        dice: Dice,
        channel_ids: Mapping[Market, int],
        ids: Mapping[str, Iterator[int]],
        orders: int,
        since: datetime,
    ) -> None:
        self.dice, self.ids, self.since = dice, ids, since
        self.buyers: dict[Market, list[Buyer]] = {market: [] for market in channel_ids}
        self.tables: Tables = {
            table: [] for table in ("companies", "company_sources", "contacts", "contact_companies", "customers")
        }
        for market, channel_id in channel_ids.items():
            if market.sells_to_companies:
                self._companies(market, channel_id, 3 + min(orders // _ORDERS_PER_COMPANY, _MOST_COMPANIES) // 2)
            else:
                self._customers(market, channel_id, 5 + min(orders // _ORDERS_PER_CUSTOMER, _MOST_CUSTOMERS) // 2)

    def _companies(self, market: Market, channel_id: int, count: int) -> None:
        mothers: list[tuple[int, str]] = []
        for _ in range(count):
            company_id = next(self.ids["companies"])
            moments = self._registered()
            country = self.dice.choice(market.countries)
            name, parent_id = self._firm(market, country, mothers)
            if parent_id is None:
                mothers.append((company_id, name))
            debtor_id = f"C{company_id:06d}"
            company = {"id": company_id, "channel_id": channel_id, "external_id": debtor_id, "name": name}
            source = {"company_id": company_id, "channel_id": channel_id, "name": "crm", "id": debtor_id}
            self.tables["companies"].append({**company, "parent_id": parent_id, **moments})
            self.tables["company_sources"].append(source)
            address = self._address(country, name, f"{country}{self.dice.randrange(10**8, 10**9)}")
            for _ in range(self.dice.choice((1, 1, 2, 3))):
                person = self._person(market, channel_id, moments)
                self.tables["contacts"].append(person)
                self.tables["contact_companies"].append(
                    {"contact_id": person["id"], "channel_id": channel_id, "company_id": company_id}
                )
                self.buyers[market].append(
                    Buyer(
                        market,
                        channel_id,
                        person["email"],
                        person["first_name"],
                        person["last_name"],
                        address,
                        company_id=company_id,
                        debtor_id=debtor_id,
                        contact_id=person["id"],
                    )
                )

    def _customers(self, market: Market, channel_id: int, count: int) -> None:
        for _ in range(count):
            person = self._person(market, channel_id, self._registered())
            address = self._address(self.dice.choice(market.countries), None, None)
            guest = self.dice.random() < 0.12
            if not guest:
                self.tables["customers"].append({**person, "phone": address["phone"]})
            self.buyers[market].append(
                Buyer(
                    market,
                    channel_id,
                    person["email"],
                    person["first_name"],
                    person["last_name"],
                    address,
                    customer_id=None if guest else person["id"],
                )
            )

    def _firm(self, market: Market, country: str, mothers: list[tuple[int, str]]) -> tuple[str, int | None]:
        """A name, and the mother of every third company."""
        trade, form = self.dice.choice(FIRM_TRADES[market.language]), FIRM_FORMS[country]
        if mothers and self.dice.random() < 0.33:
            parent_id, mother = self.dice.choice(mothers)
            return f"{mother.split()[0]} {trade} {self.dice.choice(CITIES[country])[0]} {form}", parent_id
        return f"{self.dice.choice(FIRM_NAMES)} {trade} {form}", None

    def _person(self, market: Market, channel_id: int, moments: Row) -> Row:
        first, last = self.dice.choice(FIRST_NAMES[market.language]), self.dice.choice(LAST_NAMES[market.language])
        user_id = next(self.ids["user_ids"])
        plain = unicodedata.normalize("NFKD", f"{first}.{last}").encode("ascii", "ignore").decode().replace(" ", "")
        email = f"{plain.lower()}.{user_id}@example.net"
        return {
            "id": user_id,
            "channel_id": channel_id,
            "email": email,
            "first_name": first,
            "last_name": last,
            **moments,
        }

    def _address(self, country: str, company: str | None, vat_id: str | None) -> Row:
        city, postal_code, region = self.dice.choice(CITIES[country])
        return {
            "company": company,
            "street": self.dice.choice(STREETS[country]),
            "number": str(self.dice.randrange(1, 240)),
            "postal_code": postal_code,
            "city": city,
            "region": region,
            "country": country,
            "phone": f"{PHONE_PREFIXES[country]} {self.dice.randrange(1000, 9999)}",
            "vat_id": vat_id,
        }

    def _registered(self) -> Row:
        moment = self.since - timedelta(minutes=self.dice.randrange(60, 600_000))
        return {"created_at": moment, "last_modified_at": moment}
