/*
 * Files of mounted Secrets. The kubelet replaces a file when its Secret changes, so it is read again and again; a file that cannot
 * be read or used for a moment leaves what was read before in place.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** What a file holds, as it was last read. */
export interface WatchedFile<Content> {
  readonly content: Content;
  /** Whether the file could be read and used the last time. */
  readonly isReadable: boolean;
}

export interface WatchedFileOptions<Content> {
  readonly path: string;
  /** Reads the text. Throws if it cannot be used. */
  readonly parse: (text: string) => Content;
  /** The error to throw if the file cannot be read. */
  readonly missing: (cause: unknown) => Error;
  readonly onChanged?: () => void;
  /** Reported once, until the file can be read again. */
  readonly onUnreadable: (error: unknown) => void;
  /** How often it is read: every second, unless this says otherwise. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;

/** Reads the file, and again and again until the signal. Throws what `missing` and `parse` throw if that fails at first. */
export async function watchFile<Content>(
  { path, parse, missing, onChanged, onUnreadable, everyMs = EVERY_MS }: WatchedFileOptions<Content>,
  signal: AbortSignal,
): Promise<WatchedFile<Content>> {
  const read = async () => {
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      throw missing(cause);
    }
  };
  let text = await read();
  const state = { content: parse(text), isReadable: true };
  const watch = async () => {
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {});
      try {
        const next = await read();
        if (next !== text) {
          state.content = parse(next);
          text = next;
          onChanged?.();
        }
        state.isReadable = true;
      } catch (error) {
        if (state.isReadable) onUnreadable(error);
        state.isReadable = false;
      }
    }
  };
  void watch();
  return state;
}
