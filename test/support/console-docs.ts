/*
 * The console blocks of a guide: commands after "$ ", each followed by what it prints. They are run, and compared except for what is
 * different each time.
 */

/** A command of a guide, and the output that the guide shows. */
export interface ShownCommand {
  readonly command: string;
  readonly output: string;
}

const BLOCK = /^```console\n(.*?)^```$/gms;

/** The console blocks of a Markdown text, in their order. */
export function readConsoleBlocks(text: string): ShownCommand[][] {
  return [...text.matchAll(BLOCK)].map(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = "", ...lines] = part.split("\n");
        return { command, output: lines.join("\n").trimEnd() };
      }),
  );
}

/** The text with these blocks instead of its own. */
export function writeConsoleBlocks(text: string, blocks: readonly (readonly ShownCommand[])[]): string {
  const rest = [...blocks];
  return text.replaceAll(BLOCK, () => `\`\`\`console\n${(rest.shift() ?? []).map(formatCommand).join("\n")}\`\`\``);
}

function formatCommand({ command, output }: ShownCommand): string {
  return `$ ${command}\n${output === "" ? "" : `${output}\n`}`;
}

/** What is different each time, and what stands for it in a comparison. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME"],
  [/\b(?=[A-Za-z]*\d|[a-z]*[A-Z])[0-9A-Za-z]{12}\b/g, "ID"],
  [/[├┼┤●─]+/g, "LINE"],
  [/\b\d+[smhd]\b( ago)?/g, "SPAN"],
  // The status of a policy is written now and then.
  [/governs \d+ ApiTokens?/g, "governs ApiTokens"],
  [/[ \n]+/g, " "],
];

/** The output without what is different each time. */
export function maskOutput(output: string): string {
  return VARYING.reduce((text, [pattern, word]) => text.replaceAll(pattern, word), output).trim();
}
