/*
 * Every login of the database may send on our channel, whatever and as fast as it likes. What our triggers send must reach the
 * controller at once all the same, so the first notifications of each second are taken one by one. Of the others nothing is
 * read or kept: one look at everything replaces them.
 */

export interface GateOptions {
  readonly onNotification: (payload: string) => void;
  /** Anything may have changed. Called at most once a second. */
  readonly onEverything: () => void;
}

/** Decides which notifications are looked at one by one. */
export interface NotificationGate {
  /** Passes a notification on, or has everything looked at within a second. */
  take(payload: string): void;
  /** Has everything looked at: now, or a second after the last time. */
  sweep(): void;
  /** Forgets what is still to come. */
  close(): void;
}

const WINDOW_MS = 1_000;

/** More than people cause, and few enough for the controller to look at each. */
const TAKEN_PER_WINDOW = 500;

/** Opens a gate. It counts in seconds, each of which begins with a notification. */
export function createNotificationGate({ onNotification, onEverything }: GateOptions): NotificationGate {
  let window: NodeJS.Timeout | undefined;
  let taken = 0;
  let wasSwept = false;
  let isSweepDue = false;

  const openWindow = () => {
    taken = 0;
    wasSwept = false;
    window = setTimeout(() => {
      window = undefined;
      if (isSweepDue) sweep();
    }, WINDOW_MS);
  };
  const sweep = () => {
    if (window === undefined) openWindow();
    isSweepDue = wasSwept;
    if (wasSwept) return;
    wasSwept = true;
    onEverything();
  };

  return {
    sweep,
    take(payload) {
      if (window === undefined) openWindow();
      taken += 1;
      if (taken > TAKEN_PER_WINDOW) isSweepDue = true;
      else onNotification(payload);
    },
    close() {
      clearTimeout(window);
      window = undefined;
      isSweepDue = false;
    },
  };
}
