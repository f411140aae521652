# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the forge's repositories hold at the start: a small shop, and the texts of the tasks for it.

Tasks are listed in the shop's own repository, where a docs run looks, and described in the other, where a code run
looks.
A task's folder may hold `sample-work.json`: the steps that the sample coder takes, as it cannot think of any.
"""

from __future__ import annotations

import json

CODE_REPOSITORY = "acme/shop"
DOCS_REPOSITORY = "acme/tasks"
PROJECT_FOLDER = "_projects/shop"
TASK = f"{PROJECT_FOLDER}/.taskmaster/docs/task-7"

CART = '''\
"""A cart of things with prices in cents."""


class Cart:
    """What a customer wants to buy."""

    def __init__(self):
        self.prices = []

    def add(self, price):
        """Put one thing into the cart."""
        self.prices.append(price)

    def total(self):
        """The sum of all prices."""
        return sum(self.prices)
'''
CART_WITH_DISCOUNT = (
    CART
    + '''
    def discounted(self, percent):
        """The sum less a discount in whole percent, rounded to the customer's good."""
        if not 0 <= percent <= 100:
            raise ValueError(f"a discount is between 0 and 100 percent, not {percent}")
        return self.total() * (100 - percent) // 100
'''
)
TESTS = """\
import unittest

from cart import Cart


class CartTest(unittest.TestCase):
    def test_total(self):
        cart = Cart()
        cart.add(250)
        cart.add(199)
        self.assertEqual(cart.total(), 449)
"""
MORE_TESTS = (
    TESTS
    + """
    def test_discount(self):
        cart = Cart()
        cart.add(999)
        self.assertEqual(cart.discounted(10), 899)

    def test_no_discount_above_everything(self):
        with self.assertRaises(ValueError):
            Cart().discounted(101)


if __name__ == "__main__":
    unittest.main()
"""
)
PROMPT = """\
# Discounts in the cart

Add a method `discounted(percent)` to the class `Cart` in `cart.py`: the total less a discount in whole percent, rounded
to the customer's good. Anything but 0 to 100 percent is a ValueError. Add tests to `test_cart.py`.
"""
CRITERIA = """\
# Acceptance criteria

- `python3 -m unittest test_cart` passes, and one of its tests covers a discount of 10 percent on 9.99.
- A discount of 101 percent raises ValueError.
"""
WORK = [
    {"say": "Starting with the discount. First a look at the cart and its tests."},
    {"read": "cart.py"},
    {"read": "test_cart.py"},
    {"write": "test_cart.py", "content": MORE_TESTS},
    {"run": "python3 -m unittest -v test_cart"},
    {"say": "The Error was to be expected: there is no discount yet. Implementing it now."},
    {"write": "cart.py", "content": CART_WITH_DISCOUNT},
    {"run": "python3 -m unittest -v test_cart"},
    {"run": "git add --all && git commit --message 'Discounts in the cart' && git log --oneline --max-count 3"},
    {"say": "Complete: the cart gives discounts, all tests pass. Success!"},
]
TASK_LIST = {
    "tasks": [
        {
            "id": 7,
            "title": "Discounts in the cart",
            "description": "A customer may get a discount in whole percent on the whole cart.",
            "testStrategy": "Unit tests for 0, 10 and 100 percent, and for what is out of range.",
            "dependencies": [],
        },
        {
            "id": 8,
            "title": "A receipt",
            "description": "A text with a line for each thing and the sum, discount included.",
            "testStrategy": "The receipt of a cart with two things, with and without discount.",
            "dependencies": [7],
        },
    ]
}

REPOSITORIES = {
    CODE_REPOSITORY: {
        "README.md": "# shop\n\nThe service `cart` holds what a customer wants to buy.\n",
        ".gitignore": "__pycache__/\n",
        "services/cart/cart.py": CART,
        "services/cart/test_cart.py": TESTS,
        ".taskmaster/tasks/tasks.json": json.dumps(TASK_LIST, indent=2) + "\n",
    },
    DOCS_REPOSITORY: {
        "README.md": "# tasks\n\nThe tasks of all projects, a folder each.\n",
        f"{TASK}/prompt.md": PROMPT,
        f"{TASK}/task.md": "# Task 7\n\nDiscounts in the cart. Needs nothing; task 8, the receipt, needs it.\n",
        f"{TASK}/acceptance-criteria.md": CRITERIA,
        f"{TASK}/sample-work.json": json.dumps(WORK, indent=2) + "\n",
    },
}
