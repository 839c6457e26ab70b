/*
 * The alerts' tests must use figures that a controller really exports, with the labels that Prometheus would add.
 */
/** The controller's own metrics at one moment, as Prometheus stores them. */
export interface Scrape {
  readonly at: Date;
  /** Values by series. The labels include those that Prometheus adds. */
  readonly samples: ReadonlyMap<string, number>;
}

const SAMPLE = /^(apitoken_\w+)(?:\{(.*)\})? (\S+)$/;

/** Scrapes a controller as Prometheus would, as if it were this pod. */
export async function scrape({ port }: { readonly port: number }, pod = "controller-0"): Promise<Scrape> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await answer.text();
  const target = `namespace="apitokens",job="controller",pod="${pod}"`;
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, labels, value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) continue;
    samples.set(`${name}{${labels === undefined ? "" : `${labels},`}${target}}`, Number(value));
  }
  return { at: new Date(), samples };
}

/** What one Prometheus stores of several replicas that were scraped at the same time. */
export function together(...scrapes: readonly Scrape[]): Scrape {
  const at = new Date(Math.min(...scrapes.map((each) => each.at.getTime())));
  return { at, samples: new Map(scrapes.flatMap(({ samples }) => [...samples])) };
}

/** The figures of a controller that no longer answers. */
export const NO_ANSWER: Pick<Scrape, "samples"> = { samples: new Map() };
