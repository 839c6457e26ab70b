/*
 * Statements that issue tokens wait in the database for their owner's turn. If somebody holds that turn, every worker and
 * every connection could end up waiting for it. So the passes of one owner wait here instead, where waiting costs nothing,
 * and once an owner is known to be stuck, one pass at a time tries, and the others fail at once.
 */

/** Admits the statements that count, issue or replace an owner's tokens. */
export interface OwnerGate {
  /**
   * Runs a statement for the owner once at most one other of the owner is running. Throws what the statement throws; if the
   * owner is stuck, throws at once what the last try has thrown. The pass over `key` is then requested again when the owner
   * is no longer stuck.
   */
  run<T>(owner: string, key: string, statement: () => Promise<T>): Promise<T>;
}

export interface OwnerGateOptions {
  /** Whether an error says that somebody else held the owner's turn for too long. */
  readonly isStuck: (error: unknown) => boolean;
  /** Requests a pass over a key. */
  readonly retry: (key: string) => void;
  /** From then on, nothing is retried. */
  readonly signal: AbortSignal;
}

/** The second one waits in the database while the first one runs, so that no round trip is lost between the two. */
const STATEMENTS_AT_ONCE = 2;

const PAUSE_FIRST_MS = 250;
const PAUSE_LONGEST_MS = 2_000;

/** What is known of an owner for whom statements run or wait; nothing is kept of any other. */
interface Line {
  running: number;
  readonly waiting: Waiter[];
  stuck?: Stuck | undefined;
}

interface Waiter {
  readonly key: string;
  readonly admit: () => void;
  readonly refuse: (error: unknown) => void;
}

interface Stuck {
  readonly error: unknown;
  /** Keys whose passes were refused. */
  readonly keys: Set<string>;
  readonly pauseMs: number;
  /** Whether the pause is over, so that the next statement may try. */
  mayTry: boolean;
}

export function createOwnerGate({ isStuck, retry, signal }: OwnerGateOptions): OwnerGate {
  const lines = new Map<string, Line>();

  /** Lets the next pass of the owner try after the pause, and asks for one. */
  const pauseThenTry = (owner: string, line: Line, stuck: Stuck) => {
    const wake = () => {
      if (signal.aborted || line.stuck !== stuck) return;
      const [key] = stuck.keys;
      if (key === undefined) {
        line.stuck = undefined;
        if (line.running === 0) lines.delete(owner);
        return;
      }
      stuck.keys.delete(key);
      stuck.mayTry = true;
      retry(key);
      // The pass may find that it has nothing to issue any more: then the next key has its turn.
      pauseThenTry(owner, line, stuck);
    };
    setTimeout(wake, stuck.pauseMs).unref();
  };

  const settle = (owner: string, line: Line, key: string, error?: unknown) => {
    if (error !== undefined && isStuck(error)) {
      const { keys = new Set<string>(), pauseMs } = line.stuck ?? {};
      const longerMs = pauseMs === undefined ? PAUSE_FIRST_MS : Math.min(2 * pauseMs, PAUSE_LONGEST_MS);
      line.stuck = { error, keys: keys.add(key), pauseMs: longerMs, mayTry: false };
      for (const { refuse, ...waiter } of line.waiting.splice(0)) {
        keys.add(waiter.key);
        refuse(error);
      }
      pauseThenTry(owner, line, line.stuck);
      return;
    }
    const { keys = [] } = line.stuck ?? {};
    line.stuck = undefined;
    if (!signal.aborted) for (const refused of keys) retry(refused);
  };

  return {
    async run(owner, key, statement) {
      const line = lines.get(owner) ?? { running: 0, waiting: [] };
      lines.set(owner, line);
      if (line.stuck !== undefined && !(line.stuck.mayTry && line.running === 0)) {
        line.stuck.keys.add(key);
        throw line.stuck.error;
      }
      if (line.running >= STATEMENTS_AT_ONCE) {
        await new Promise<void>((admit, refuse) => line.waiting.push({ key, admit, refuse }));
      } else {
        line.running += 1;
      }
      try {
        const result = await statement();
        settle(owner, line, key);
        return result;
      } catch (error) {
        settle(owner, line, key, error);
        throw error;
      } finally {
        const next = line.waiting.shift();
        if (next !== undefined) next.admit();
        else line.running -= 1;
        if (line.running === 0 && line.stuck === undefined) lines.delete(owner);
      }
    },
  };
}
