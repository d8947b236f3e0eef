"""The API's words for customers, their addresses and comments. What answers with the whole customer is in
billing.api.customers: what they pay with, and paid, belongs to it."""
