/*
 * Bodies as clients send them, over a socket, because every library would send a well-formed head.
 */
import { test as base, expect } from "vitest";
import { readBody, startHttpServer } from "../../../../src/verifier/server/http-server.ts";
import { exchange } from "../../../support/exchange.ts";

const LIMIT_BYTES = 10;

const test = base
  .extend("server", { scope: "file" }, () =>
    startHttpServer({
      port: 0,
      tls: undefined,
      handle: (request, response) =>
        readBody(request, LIMIT_BYTES, (body) => response.end(body === undefined ? "none" : `<${body}>`)),
    }),
  )
  .extend("port", { scope: "file" }, ({ server }, { onCleanup }) => {
    onCleanup(() => server.close(100));
    return server.port;
  });

test.for([
  ["whose head announces none", "", "", "<>"],
  ["of the length 0", "Content-Length: 0\r\n", "", "<>"],
  ["with a length", "Content-Length: 3\r\n", "a=b", "<a=b>"],
  ["in chunks", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n2\r\n=b\r\n0\r\n\r\n", "<a=b>"],
  ["of no chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "<>"],
  ["that is too large", "Content-Length: 11\r\n", "0123456789a", "none"],
] as const)("a body %s is read", async ([, headers, body, expected], { port }) => {
  const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`;
  const answer = await exchange(port, head + body);
  expect(answer.slice(answer.indexOf("\r\n\r\n"))).toContain(expected);
});
