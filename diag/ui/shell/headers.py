"""The headers that every answer carries, refusals included."""

from __future__ import annotations

# Rendered every kind of chart and table, and blocked images from other hosts, when it was measured. 'self' in
# connect-src covers the page's own websocket (CSP level 3; Chromium, Firefox, Safari from 15.4).
CSP = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
