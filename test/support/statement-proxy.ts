import { type AddressInfo, connect, createServer } from "node:net";

/** Where a program is in the life of a statement that it sends. */
export type Moment = "before it is sent" | "while the server is at it" | "after it, before the answer comes";

export interface StatementProxy {
  /** The same database, by way of the proxy. */
  readonly url: string;
  /** How many statements with the text in them have come by. */
  readonly count: number;
  /** Does something once, at a moment of the n-th statement from now; what it does, comes before the network goes on. */
  meetNext(number: number, moment: Moment, act: () => void): void;
  close(): Promise<void>;
}

/** A network that counts the statements with a text in them: for a kill at exactly one of them. */
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
      far.write(chunk, () => actAt("while the server is at it") && far.destroy());
    });
    far.on("data", (chunk) => {
      if (isAwaited && actAt("after it, before the answer comes")) return void far.destroy();
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
