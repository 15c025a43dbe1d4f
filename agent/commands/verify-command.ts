/** `migrate-agent verify`: from what was typed to what is said about it, and the exit code. */
import type { Grant } from "../../schema/connector.ts";
import type { Command } from "../command-line.ts";
import { isLoopback } from "../config.ts";
import { type GrantProvider, TransferError } from "../connectors/connector.ts";
import { openContainer, openSource } from "../connectors/registry.ts";
import type { Platform } from "../platform.ts";
import { ManifestError, ManifestReader } from "./manifest-reader.ts";
import { count, shown, size } from "./plain-text.ts";
import { containerCopy, type Copy, type Finding, sourceCopy, type Verification, verify } from "./verify.ts";

type VerifyCommand = Extract<Command, { kind: "verify" }>;

/** What `verify` ends with, besides what every command may. */
const EXIT = { same: 0, refused: 2, unreachable: 3, different: 6, incomplete: 7 } as const;
const PROGRESS_MS = 1_000;
/** Read and list: whoever only compares needs no more, and more could be stolen. */
const SAS_PERMISSIONS = /^[rl]*r[rl]*$/;

/** What was typed cannot be used. */
class Refusal extends Error {}

export interface VerifyWorld {
  readonly platform: Platform;
  /** A line that somebody types or a pipe brings. */
  readonly readSecret: (prompt: string) => Promise<string>;
  readonly out: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Says over again how far it is; null where nobody watches. */
  readonly progress: ((text: string) => void) | null;
  readonly signal: AbortSignal;
}

export async function runVerify(command: VerifyCommand, world: VerifyWorld): Promise<number> {
  const { platform, signal } = world;
  try {
    const copy = await openCopy(command, world);
    const manifest = await ManifestReader.open(platform, command.manifest, signal);
    checkDigest(manifest, command);
    const seed = command.seed ?? platform.random.bytes(6).toHex();
    const sample = command.samplePercent === 100 ? null : { percent: command.samplePercent, seed };
    const onFile = progressOf(world);
    const found = await verify({ platform, manifest, copy, sample, onFile, signal });
    world.out(command.json ? `${JSON.stringify(documentOf(found, command))}\n` : wordsOf(found, command));
    return EXIT[found.result];
  } catch (error) {
    return refuse(error, command, world);
  }
}

function refuse(error: unknown, { json }: VerifyCommand, { complain, out, signal }: VerifyWorld): number {
  if (signal.aborted) {
    complain("Stopped before anything was compared");
    return EXIT.incomplete;
  }
  const code = codeOf(error);
  if (code === null || !(error instanceof Error)) throw error;
  if (json) out(`${JSON.stringify({ result: "refused", message: error.message })}\n`);
  complain(error.message);
  return code;
}

function codeOf(error: unknown): number | null {
  if (error instanceof ManifestError || error instanceof Refusal) return EXIT.refused;
  if (!(error instanceof TransferError)) return null;
  const { problem } = error;
  const isUnreachable =
    problem.scope === "file" || (problem.scope === "job" && problem.code === "DESTINATION_UNREACHABLE");
  return isUnreachable ? EXIT.unreachable : EXIT.refused;
}

function checkDigest({ facts }: ManifestReader, { sha256 }: VerifyCommand): void {
  if (sha256 === null || sha256 === facts.sha256) return;
  throw new Refusal(
    `Cannot use the manifest: its SHA-256 is ${facts.sha256}, not the ${sha256} that was given. It was changed, or belongs to another run`,
  );
}

async function openCopy({ against }: VerifyCommand, world: VerifyWorld): Promise<Copy> {
  const { platform } = world;
  if (against.kind === "source")
    return sourceCopy(openSource({ kind: "local", path: against.place }, platform), platform);
  const containerUrl = parseContainer(against.place);
  const sas = parseSas(await world.readSecret("SAS of the container (not shown): "));
  return containerCopy(openContainer(grantsOf(containerUrl, sas), platform), platform);
}

function parseContainer(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw new Refusal("Cannot use the container's address: it is not a URL");
  if (url.search !== "" || url.username !== "" || url.password !== "" || url.hash !== "") {
    throw new Refusal(
      "Cannot use the container's address: give it without a SAS, which everybody on this machine could read there. The SAS comes by standard input",
    );
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname)))
    throw new Refusal("Cannot use the container's address: it must begin with https://");
  const path = url.pathname.replace(/\/$/, "");
  if (path === "") throw new Refusal("Cannot use the container's address: it names no container");
  return url.origin + path;
}

function parseSas(text: string): string {
  const sas = text.trim().replace(/^\?/, "");
  const help = "Make one in the portal under Shared access tokens, with the permissions Read and List";
  if (sas === "") throw new Refusal(`A SAS is needed on standard input, and there is none. ${help}`);
  const values = new URLSearchParams(sas);
  if (!/^[!-~]+$/.test(sas) || sas.includes("://") || !values.has("sig"))
    throw new Refusal(
      `Cannot use the SAS: it has to be what stands behind the "?", with "sig=" in it. ${help}`,
    );
  const permissions = values.get("sp");
  // One that follows a stored policy does not say what it allows.
  if (permissions === null ? !values.has("si") : !SAS_PERMISSIONS.test(permissions))
    throw new Refusal(
      `Cannot use the SAS: it allows "${permissions ?? ""}", and only reading is needed. ${help}`,
    );
  return sas;
}

function grantsOf(containerUrl: string, sas: string): GrantProvider {
  const never = new Date(8.64e15).toISOString();
  const container = containerUrl.slice(containerUrl.lastIndexOf("/") + 1);
  const grant: Grant = {
    kind: "azure_blob",
    containerUrl,
    container,
    sas,
    expiresAt: never,
    renewAt: never,
  };
  return {
    current: () => grant,
    replace: () =>
      Promise.reject(
        new TransferError(
          { scope: "job", code: "DESTINATION_DENIED" },
          "The storage account refuses the SAS: it has expired, is for another container, or this machine's address is not let in",
          { retry: { kind: "never" } },
        ),
      ),
  };
}

function progressOf({ platform, progress }: VerifyWorld): (sizeBytes: number) => void {
  let files = 0;
  let bytes = 0;
  let saidMs = platform.clock.monotonic();
  return (sizeBytes) => {
    files++;
    bytes += sizeBytes;
    const nowMs = platform.clock.monotonic();
    if (progress === null || nowMs - saidMs < PROGRESS_MS) return;
    saidMs = nowMs;
    progress(`${count(files, "file")}, ${size(bytes)} compared`);
  };
}

// --- what is said ------------------------------------------------------------------------------------------------

function documentOf(found: Verification, { manifest, against, sha256 }: VerifyCommand): unknown {
  const { different, missing, unread } = found.counts;
  return {
    result: found.result,
    manifest: { file: manifest, ...found.manifest, isTheExpected: sha256 === null ? null : true },
    against,
    sample: found.sample,
    counts: found.counts,
    isStopped: found.isStopped,
    findings: found.findings,
    findingsLeftOut: different + missing + unread - found.findings.length,
  };
}

function wordsOf(found: Verification, command: VerifyCommand): string {
  const { manifest, sample, counts, findings } = found;
  const lines = [
    `Manifest: ${count(manifest.rows, "line")}, SHA-256 ${manifest.sha256}`,
    command.sha256 === null
      ? "  Compare this digest with the one in the job's report, or give it with --sha256"
      : "  It is the expected one",
    `Compared: ${count(counts.drawn, "file")} of ${counts.comparable.toLocaleString("en-US")}, with ${shown(command.against.place)}`,
    ...(sample === null
      ? []
      : [
          `  A sample. The same files are drawn again with: --sample ${sample.percent} --seed ${shown(sample.seed)}`,
        ]),
    `  the same   ${counts.same.toLocaleString("en-US")} (${size(counts.sameBytes)})`,
    `  different  ${counts.different.toLocaleString("en-US")}`,
    `  missing    ${counts.missing.toLocaleString("en-US")}`,
    `  not read   ${counts.unread.toLocaleString("en-US")}`,
    ...notMovedWords(counts.notMoved),
    ...findings.map((finding) => `${shown(finding.path)}: ${findingWords(finding)}`),
  ];
  const leftOut = counts.different + counts.missing + counts.unread - findings.length;
  if (leftOut > 0) lines.push(`… and ${count(leftOut, "more file")}`);
  lines.push(resultWords(found));
  return `${lines.join("\n")}\n`;
}

function notMovedWords(notMoved: Verification["counts"]["notMoved"]): string[] {
  const parts = Object.entries(notMoved).map(([outcome, number]) => `${number} ${outcome.replace("_", " ")}`);
  return parts.length === 0
    ? []
    : [`Not in the comparison, because the manifest has no digest: ${parts.join(", ")}`];
}

function findingWords(finding: Finding): string {
  switch (finding.kind) {
    case "missing":
      return "it is not there";
    case "unread":
      return `not read: ${finding.reason}`;
    case "different": {
      const { expected, found, isWrittenSince } = finding;
      const what =
        found.sizeBytes !== expected.sizeBytes
          ? `it has ${count(found.sizeBytes, "byte")} instead of ${expected.sizeBytes.toLocaleString("en-US")}`
          : `its SHA-256 is ${found.sha256} instead of ${expected.sha256}`;
      if (isWrittenSince === null) return what;
      return isWrittenSince
        ? `${what}; it was written to since it was moved`
        : `${what}, although its time is still the same`;
    }
  }
}

function resultWords({ result, counts, isStopped, sample }: Verification): string {
  const wrong = counts.different + counts.missing;
  switch (result) {
    case "same":
      return sample === null
        ? "Result: every file is what the manifest says"
        : "Result: every file of the sample is what the manifest says";
    case "different":
      return `Result: ${count(wrong, "file")} ${wrong === 1 ? "is" : "are"} not what the manifest says${isStopped ? "; stopped early" : ""}`;
    case "incomplete":
      if (isStopped) return "Result: nothing different so far, but it was stopped early";
      if (counts.unread > 0)
        return `Result: nothing different, but ${count(counts.unread, "file")} could not be read`;
      return "Result: nothing was compared, so nothing is known";
  }
}
