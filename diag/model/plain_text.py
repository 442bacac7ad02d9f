"""Two short texts that any language model of some size has seen the like of: English prose, and Python.

Written for this file, so that no model has them by heart. Changing a letter changes every number measured on them: the
thresholds in results/thresholds.py were.
"""

from __future__ import annotations

ENGLISH = """\
The harbour was quiet when the last ferry came in. Two men in yellow jackets walked along the quay, caught the ropes
that the crew threw to them, and pulled the boat slowly against the old tyres on the wall. Nobody on the deck seemed to
be in a hurry. A woman with a small suitcase waited until the others had left, then asked one of the men whether the
bus to the station was still running. He looked at his watch and shook his head. "It left ten minutes ago," he said,
"but the road is not long. If you follow the river, you will be there in half an hour."

She thanked him and started to walk. The rain had stopped in the afternoon, and the air smelled of wet grass and salt.
Behind the last houses the road became narrow, and on both sides there were fields with low stone walls. A dog barked
somewhere in the dark. She thought about the letter in her pocket, which she had read so many times that she knew every
word of it, and about the answer that she had never sent. Her brother had always been better with words than she was.
When they were children, he told her stories every night, and she believed all of them, even the one about the king who
lived under the lake and came up once a year to buy bread.

The station was a small building with one platform. Inside, an old clock hung above the door, and a boy of about twelve
sat on the bench and ate an apple. "Are you waiting for the night train too?" he asked. "It is always late on Fridays,
because they have to let the milk train pass first. My father drives it. Sometimes he lets me ride with him as far as
the bridge." She sat down beside him and put the suitcase between her feet. It was the first time that day that anyone
had told her something without wanting anything from her.

Most people think that a river is a line on a map, and that it stays where it is. In fact a river moves all the time.
On the outer side of every bend the water runs faster and carries away the earth of the bank; on the inner side it is
slow, and sand and small stones sink to the ground. In this way each bend grows wider from year to year, until two of
them meet and the river takes the shorter path. What is left of the old bend becomes a lake in the shape of the moon.
Farmers who live near such a river know that the border of their land is not the same for them as it was for their
parents.
"""

PYTHON = '''\
import argparse
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Invoice:
    """A list of items sold to one customer on one day."""

    customer: str
    date: str
    items: list = field(default_factory=list)

    def add(self, name, price, quantity=1):
        if quantity < 1:
            raise ValueError("quantity must be at least 1")
        self.items.append((name, price, quantity))

    def total(self):
        return sum(price * quantity for _, price, quantity in self.items)

    def __len__(self):
        return len(self.items)


def load_invoices(path):
    """Read invoices from a JSON file and return them as a list."""
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    invoices = []
    for entry in data:
        invoice = Invoice(entry["customer"], entry["date"])
        for item in entry.get("items", []):
            invoice.add(item["name"], float(item["price"]), int(item.get("quantity", 1)))
        invoices.append(invoice)
    return invoices


def total_by_customer(invoices):
    totals = defaultdict(float)
    for invoice in invoices:
        totals[invoice.customer] += invoice.total()
    return dict(totals)


def most_common_items(invoices, n=10):
    counter = Counter()
    for invoice in invoices:
        for name, _, quantity in invoice.items:
            counter[name] += quantity
    return counter.most_common(n)


def main():
    parser = argparse.ArgumentParser(description="Print a summary of invoices.")
    parser.add_argument("path", help="a JSON file, or a folder of them")
    parser.add_argument("--top", type=int, default=10, help="number of items to print")
    args = parser.parse_args()

    paths = [args.path]
    if os.path.isdir(args.path):
        names = sorted(os.listdir(args.path))
        paths = [os.path.join(args.path, name) for name in names if name.endswith(".json")]

    invoices = []
    for path in paths:
        try:
            invoices.extend(load_invoices(path))
        except (OSError, ValueError) as error:
            print(f"skipping {path}: {error}")

    for customer, total in sorted(total_by_customer(invoices).items()):
        print(f"{customer:<30} {total:>10.2f}")
    for name, count in most_common_items(invoices, args.top):
        print(f"{count:>6} x {name}")


if __name__ == "__main__":
    main()
'''

TEXTS = {"English prose": ENGLISH, "Python": PYTHON}
