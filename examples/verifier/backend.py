"""A backend that asks the verifier about the token of each request, with Authlib and requests.

VERIFIER_TOKEN_FILE is the token of an ApiToken of the backend's own, with the scope apitoken:introspect. Flask and Django take the
same validator: authlib.integrations.flask_oauth2.ResourceProtector, authlib.integrations.django_oauth2.ResourceProtector.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator

VERIFIER_URL = os.environ.get("VERIFIER_URL", "http://apitoken-verifier:8182")
VERIFIER_TOKEN_FILE = Path(os.environ.get("VERIFIER_TOKEN_FILE", "/var/run/apitoken/token"))
PORT = int(os.environ.get("PORT", "8080"))
TIMEOUT_SECONDS = 1


class Verifier(IntrospectTokenValidator):
    def introspect_token(self, token_string):
        # Read each time: after a rotation, the file has the next token.
        secret = VERIFIER_TOKEN_FILE.read_text().strip()
        session = OAuth2Session("orders-backend", secret)
        response = session.introspect_token(
            f"{VERIFIER_URL}/introspect", token=token_string, timeout=TIMEOUT_SECONDS
        )
        response.raise_for_status()
        return response.json()


protector = ResourceProtector()
protector.register_token_validator(Verifier())


class Orders(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            token = protector.validate_request(["orders:read"], self)
            self.answer(200, f"the orders of {token['sub']}\n")
        except OAuth2Error as error:
            self.answer(error.status_code, "", error.get_headers())
        except (requests.RequestException, OSError) as error:
            # It is not known whether the token is good, so this is neither a yes nor a no.
            print("the verifier did not answer:", type(error).__name__, file=sys.stderr)
            self.answer(503, "", [("Retry-After", "1")])

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Orders).serve_forever()
