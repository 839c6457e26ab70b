/*
 * Some requests come from outside, as often as somebody likes, and cost more than it costs to send them.
 */

/** Carries out requests: each at once, unless one for the same subject was carried out shortly before. */
export interface Throttle {
  /** Acts now or, if it has acted on this subject within the current window, once when that window is over. */
  ask(subject: string): void;
  /** Forgets what is still to come. */
  close(): void;
}

/** Creates a throttle. A window begins with a request, for all subjects; only the subjects of the current one are kept. */
export function createThrottle(act: (subject: string) => void, windowMs = 1_000): Throttle {
  /** The subjects of this window, and whether each was asked for again. */
  let asked = new Map<string, boolean>();
  let window: NodeJS.Timeout | undefined;

  const closeWindow = () => {
    window = undefined;
    const before = asked;
    asked = new Map();
    for (const [subject, isRepeated] of before) if (isRepeated) ask(subject);
  };
  const ask = (subject: string) => {
    window ??= setTimeout(closeWindow, windowMs);
    const isRepeated = asked.has(subject);
    asked.set(subject, isRepeated);
    if (!isRepeated) act(subject);
  };

  return {
    ask,
    close() {
      clearTimeout(window);
      window = undefined;
      asked.clear();
    },
  };
}
