/*
 * The least that an HTTP server of Node can do, with the verifier's own listener settings: what the verifier is measured against.
 * A program of its own, so that each server has one process. Prints its port.
 */
import { startHttpServer } from "../../../src/verifier/server/http-server.ts";

const HEADERS = ["Content-Length", "0"];

const server = await startHttpServer({
  port: 0,
  tls: undefined,
  handle(request, response) {
    const answer = () => {
      response.writeHead(200, HEADERS);
      response.end();
    };
    // A server that is to answer about a body has to read it.
    if (request.method === "POST") request.resume().once("end", answer);
    else answer();
  },
});
process.send?.(server.port);
process.once("disconnect", () => process.exit(0));
