/*
 * The least that a gRPC server of Node can be: it waits for the end of a message, whatever is in it, and sends back always the same
 * one. What the verifier's gRPC port is measured against; a program of its own, so that each server has one process.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/** About as long as the answer about a good token. */
const ANSWER = Buffer.alloc(505);
ANSWER.writeUInt32BE(500, 1);

const server = createServer();
const ignore = () => {};
server.on("sessionError", ignore);
server.on("stream", (stream: ServerHttp2Stream) => {
  stream.on("error", ignore); // the generator breaks off what is left of a round
  stream.resume().once("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(ANSWER);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.once("disconnect", () => process.exit(0));
