/*
 * A fixed pause is either too short on a busy machine or wastes time on every other, so tests wait for conditions.
 */
/**
 * Calls `check` until it neither throws nor returns false, and returns its result. After the timeout, throws its last
 * error.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 30_000, intervalMs = 20 }: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<T> {
  const endsAtMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      const result = await check();
      if (result !== false) return result;
      throw new Error(`the condition did not become true: ${check}`);
    } catch (error) {
      if (performance.now() > endsAtMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
