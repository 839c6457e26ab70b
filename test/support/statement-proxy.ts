/*
 * To show that a program survives being killed anywhere, a test must kill it at one exact statement. This proxy counts
 * statements and acts before, during or after the n-th.
 */
import { type AddressInfo, connect, createServer } from "node:net";

/** The stage of a statement at which a test acts. */
export type Moment = "before it is sent" | "while the server runs it" | "after it, before the answer arrives";

export interface StatementProxy {
  /** The URL of the same database through the proxy. */
  readonly url: string;
  /** How many statements that contain the text have passed. */
  readonly count: number;
  /** Calls `act` once, at a stage of the n-th statement from now, and then cuts the connection to the server. */
  meetNext(number: number, moment: Moment, act: () => void): void;
  close(): Promise<void>;
}

/** Starts a proxy that counts the statements that contain `text`. */
export async function startStatementProxy(databaseUrl: string, text: string): Promise<StatementProxy> {
  const target = new URL(databaseUrl);
  let count = 0;
  let meeting: { at: number; moment: Moment; act: () => void } | undefined;

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let isAwaited = false;
    const actAt = (moment: Moment): boolean => {
      if (meeting === undefined || meeting.at !== count || meeting.moment !== moment) return false;
      const { act } = meeting;
      meeting = undefined;
      act();
      return true;
    };
    near.on("data", (chunk) => {
      if (!chunk.includes(text)) return void far.write(chunk);
      count += 1;
      if (actAt("before it is sent")) return void far.destroy();
      isAwaited = true;
      far.write(chunk, () => actAt("while the server runs it") && far.destroy());
    });
    far.on("data", (chunk) => {
      if (isAwaited && actAt("after it, before the answer arrives")) return void far.destroy();
      isAwaited = false;
      near.write(chunk);
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    get count() {
      return count;
    },
    meetNext(number, moment, act) {
      meeting = { at: count + number, moment, act };
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
