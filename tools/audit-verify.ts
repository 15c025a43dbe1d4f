/**
 * `npm run audit:verify -- <file> [--head <hash>]`: says whether an export of the audit log is whole, and where it is not.
 * Exit code 0 = whole, 1 = not, 2 = it could not be asked. `--head` is a hash that was noted before, from the dashboard or
 * an older export: with it a chain that somebody wrote anew from the beginning is found too.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { verifyExport, type ChainVerdict } from "../schema/audit.ts";

const LINE_LENGTH_MAX = 1_048_576;

export async function verifyFile(file: string, expectedHash: string | null): Promise<ChainVerdict> {
  return await verifyExport(linesOf(file), digest, expectedHash);
}

async function digest(text: string): Promise<string> {
  return createHash("sha256").update(text).digest("hex");
}

/** Lines end with a line feed and nothing else, the last one too. An export is ASCII, so each byte is a character. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of createReadStream(file, "latin1") as AsyncIterable<string>) {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    // A line without an end is none of an export's; it is judged as it is.
    if (rest.length > LINE_LENGTH_MAX) break;
    yield* lines;
  }
  // Cut off right before its last line end, a file is not what was exported.
  if (rest !== "") yield `${rest} (no line end)`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { head: { type: "string" } },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1 || !existsSync(file)) {
    process.stderr.write("Usage: npm run audit:verify -- <file of an export> [--head <hash noted before>]\n");
    return 2;
  }
  const verdict = await verifyFile(file, values.head ?? null);
  switch (verdict.kind) {
    case "whole":
      process.stdout.write(
        `Whole: ${verdict.head.number} entries of ${verdict.organizationId}, the last with hash ${verdict.head.hash}\n`,
      );
      return 0;
    case "broken":
      process.stdout.write(`Broken: ${verdict.message}\n`);
      return 1;
  }
}

if (import.meta.main) process.exitCode = await main();
