"""What must hold for whatever orders the demo holds: each rule with a query that finds its breaches."""

import pytest


@pytest.fixture
def rules() -> dict[str, str]:
    return {
        "a line is priced in whole cents, rounded half up (B-35, B-36)": """
            SELECT id FROM order_items
            WHERE price_net <> round(price * (100 + tax_percentage) / 100, 2)
               OR price_total <> price * quantity
               OR price_total_net <> price_total + round(price_total * tax_percentage / 100, 2)
               OR price + coalesce(discount, 0) <> coalesce(original_price, price)
        """,
        "an order's totals are the sums of its lines, its postage and its coupon": """
            SELECT o.id FROM orders o JOIN (
              SELECT order_id, sum(price_total) AS gross, sum(tax) AS tax FROM order_items GROUP BY order_id
            ) AS lines ON lines.order_id = o.id
            WHERE o.sub_total <> lines.gross
               OR o.total_gross <> o.sub_total - o.discount_amount + o.postage_gross
               OR o.total_tax <> lines.tax + o.postage_tax
               OR o.postage_net <> o.postage_gross + o.postage_tax
        """,
        "what is invoiced and refunded is so in money and in pieces": """
            SELECT o.id FROM orders o JOIN order_items l ON l.order_id = o.id
            WHERE o.invoiced_total NOT IN (0, o.total_net) OR o.refunded_total NOT IN (0, o.invoiced_total)
               OR l.quantity_invoiced <> CASE o.invoiced_total WHEN 0 THEN 0 ELSE l.quantity END
               OR l.quantity_refunded <> CASE o.refunded_total WHEN 0 THEN 0 ELSE l.quantity END
        """,
        "an order has lines and both addresses": """
            SELECT id FROM orders o
            WHERE NOT EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id)
               OR (SELECT array_agg(a.type ORDER BY a.type) FROM order_addresses a WHERE a.order_id = o.id)
                  <> '{delivery,invoice}'
        """,
        "no more is shipped than was ordered; canceled shipments do not count": """
            SELECT l.id FROM order_items l
            JOIN shipment_items i ON i.order_item_id = l.id
            JOIN shipments s ON s.id = i.shipment_id AND s.status <> 'CANCELED'
            GROUP BY l.id, l.quantity HAVING sum(i.quantity) > l.quantity
        """,
        "a shipment has items and one to three codes": """
            SELECT id FROM shipments s
            WHERE NOT EXISTS (SELECT FROM shipment_items i WHERE i.shipment_id = s.id)
               OR (SELECT count(*) FROM track_and_traces t WHERE t.shipment_id = s.id) NOT BETWEEN 1 AND 3
        """,
        "only confirmed and finished orders have shipments": """
            SELECT o.id FROM orders o JOIN shipments s ON s.order_id = o.id
            WHERE o.status NOT IN ('CONFIRMED', 'COMPLETED', 'ARCHIVED')
        """,
        "a finished order is delivered whole": """
            SELECT o.id FROM orders o JOIN order_items l ON l.order_id = o.id
            WHERE o.status IN ('COMPLETED', 'ARCHIVED') AND l.quantity <> (
              SELECT coalesce(sum(i.quantity), 0) FROM shipment_items i
              JOIN shipments s ON s.id = i.shipment_id AND s.status = 'DELIVERED' WHERE i.order_item_id = l.id)
        """,
        "nothing happens before its cause": """
            SELECT o.id FROM orders o LEFT JOIN shipments s ON s.order_id = o.id
            WHERE o.last_modified_at < o.created_at OR s.created_at < o.created_at OR s.last_modified_at < s.created_at
               OR o.last_modified_at < s.last_modified_at
        """,
        "an order has the company of its contact": """
            SELECT o.id FROM orders o WHERE o.contact_id IS NOT NULL AND NOT EXISTS (
              SELECT FROM contact_companies k WHERE k.contact_id = o.contact_id AND k.company_id = o.company_id)
        """,
    }
