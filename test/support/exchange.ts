/*
 * HTTP byte for byte, where a library would send a well-formed request or hide what came back.
 */
import { connect } from "node:net";

/** Sends these bytes, and resolves with everything that came back until the server has closed the connection. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (part) => {
      answer += part;
    });
    socket.once("end", () => resolve(answer));
    socket.once("error", reject);
  });
}
