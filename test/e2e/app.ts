/*
 * The e2e's application, bundled and run in a pod behind the gateway. Like most applications it checks no token, and believes the
 * headers of its gateway. It answers with what it was given.
 */
import { createServer } from "node:http";
import { identityOf } from "../support/verifier/identity.ts";
import type { AppAnswer } from "./app-answer.ts";

process.on("SIGTERM", () => process.exit(0));
createServer(({ headers, rawHeaders }, response) => {
  const answer: AppAnswer = { identity: identityOf(rawHeaders), hasToken: headers.authorization !== undefined };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}).listen(Number(process.env.PORT));
