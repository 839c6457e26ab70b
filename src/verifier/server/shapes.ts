/*
 * V8 sees in the first seven objects of a class how much room the others need. Node's requests and responses have dozens of
 * properties. If the garbage collector forgets between those seven which they are, as it does while tokens are read and only a probe
 * arrives now and then, all later ones become hash tables, and a verifier answers a third fewer requests for as long as it runs.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import { unifySockets } from "../../runtime/shapes.ts";

/** More than the seven, so that none of them is an exception. */
const REQUESTS = 10;

/** A start must not depend on it. */
const LONGEST_MS = 200;

/**
 * Has a server of its own answer a few requests over loopback. It takes a few milliseconds, and comes before everything that needs
 * memory. What fails here costs speed and nothing else, so it is not told.
 */
export async function settleShapes(): Promise<void> {
  const server = createServer((_, response) => response.writeHead(200, { "Content-Length": "0" }).end());
  unifySockets(server);
  const signal = AbortSignal.timeout(LONGEST_MS);
  const socket = new Socket();
  socket.on("error", () => {}); // also when nobody waits for an answer any more
  try {
    await once(server.listen(0, "127.0.0.1"), "listening");
    socket.connect((server.address() as AddressInfo).port, "127.0.0.1");
    for (let sent = 0; sent < REQUESTS; sent += 1) {
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await once(socket, "data", { signal });
    }
  } catch {
  } finally {
    socket.destroy();
    server.close();
  }
}
