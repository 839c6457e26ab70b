/*
 * The set-up downloads and builds what tests need, and keeps it below the home folder. Its own tests give it a home of their own.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";

/** What the set-up finds, and what it says. */
export interface SetUpHome {
  home: string;
  environment: NodeJS.ProcessEnv;
  said: string[];
}

/** Gives each test of the file an empty home, without programs, and collects what would be said on the terminal. */
export function useSetUpHome(): SetUpHome {
  const place: SetUpHome = { home: "", environment: {}, said: [] };
  beforeEach(() => {
    place.home = mkdtempSync(join(tmpdir(), "apitoken-set-up-"));
    place.environment = { XDG_CACHE_HOME: place.home };
    place.said = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => place.said.push(String(text)) > 0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(place.home, { recursive: true, force: true });
  });
  return place;
}

/** Creates a program, and returns its path. */
export function putProgram(path: string, text = "#!/bin/sh\n"): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}
