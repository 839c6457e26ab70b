/*
 * The benches learn from the controller's own metrics when it has nothing left to do.
 */
/** Reads a controller's metrics once: a value by its name, with its labels if it has any; 0 if there is none. */
export async function readController(metricsUrl: string): Promise<(name: string) => number> {
  const text = await (await fetch(metricsUrl)).text();
  const values = new Map(
    text.split("\n").map((line): [string, number] => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
  return (name) => values.get(name) ?? 0;
}
