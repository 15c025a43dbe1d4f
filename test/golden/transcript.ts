/**
 * Golden transcripts: whole conversations between agent and hub as they were spoken in a version of the protocol, kept for
 * ever in a folder per version, a step per line of JSON. `test/contract/golden.test.ts` records them from the real agent
 * session and the real Worker, and says the agent's part to today's hub; `agent/golden.test.ts` says the hub's part to
 * today's agent. What is in a file is never changed: `hashes.json` holds the SHA-256 of each.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SyncAnswer, SyncRequest } from "../../schema/protocol.ts";

export type Step =
  /** Ids as they were; whoever replays has others. */
  | { readonly kind: "names"; readonly agentId: string; readonly jobIds: readonly string[] }
  /** What somebody does besides, which makes hub or agent speak. */
  | { readonly kind: "does"; readonly what: Deed }
  | { readonly kind: "open" }
  /** The upgrade was answered with this status. */
  | { readonly kind: "refused"; readonly status: number }
  | { readonly kind: "agent"; readonly text: string }
  | { readonly kind: "hub"; readonly text: string }
  | { readonly kind: "sync"; readonly request: SyncRequest; readonly answer: SyncAnswer }
  | {
      readonly kind: "http";
      readonly path: string;
      readonly request: unknown;
      readonly status: number;
      readonly answer: unknown;
    }
  /** The line broke, without a word. */
  | { readonly kind: "cut" }
  | { readonly kind: "closed"; readonly by: "agent" | "hub"; readonly code: number; readonly reason: string };

export type Deed =
  | "create first"
  | "pause first"
  | "resume first"
  | "create second"
  | "cancel second"
  | "watch first"
  | "age the key"
  | "lose the key"
  | "connect twice before"
  | "connect a second session"
  | "say no JSON"
  | "revoke";

export const GOLDEN = fileURLToPath(new URL(".", import.meta.url));
const HASHES = join(GOLDEN, "hashes.json");

export interface Transcript {
  /** `1/session.jsonl` */
  readonly name: string;
  readonly steps: readonly Step[];
}

/** The names of all transcripts there are. */
export function goldenNames(): string[] {
  return readdirSync(GOLDEN, { withFileTypes: true })
    .filter((item) => item.isDirectory())
    .flatMap(({ name }) => readdirSync(join(GOLDEN, name)).map((file) => `${name}/${file}`))
    .toSorted((one, other) => (one < other ? -1 : 1));
}

export function readGolden(name: string): Transcript {
  const lines = readFileSync(join(GOLDEN, name), "utf8").trimEnd().split("\n");
  return { name, steps: lines.map((line) => JSON.parse(line) as Step) };
}

/** By name, of the files as they were recorded. */
export function recordedHashes(): Record<string, string> {
  return existsSync(HASHES) ? (JSON.parse(readFileSync(HASHES, "utf8")) as Record<string, string>) : {};
}

export function presentHashes(): Record<string, string> {
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(GOLDEN, name)))
      .digest("hex");
  return Object.fromEntries(goldenNames().map((name) => [name, hash(name)]));
}

/** Kinds of conversation that each version has, by how their files' names begin. */
const KINDS = ["session", "poll", "close"];

/** What no transcript tells of the versions up to the present one, a line each. */
export function findUnrecorded(version: number, names: readonly string[]): string[] {
  return Array.from({ length: version }, (_, index) => `${index + 1}/`).flatMap((folder) =>
    KINDS.filter((kind) => !names.some((name) => name.startsWith(folder + kind))).map(
      (kind) => `${folder}: no ${kind} was recorded`,
    ),
  );
}

/** What became of the files since they were recorded, a line each; nothing may. */
export function findTampering(
  recorded: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string>>,
): string[] {
  return [...new Set([...Object.keys(recorded), ...Object.keys(present)])].flatMap((name) => {
    if (recorded[name] === present[name]) return [];
    if (present[name] === undefined) return [`${name}: is gone`];
    return [recorded[name] === undefined ? `${name}: its hash was not written down` : `${name}: was changed`];
  });
}
