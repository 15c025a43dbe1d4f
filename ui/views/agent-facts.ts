/**
 * What a person should know of the agent before it runs: which file it is, what it needs, how to check it, where it keeps
 * what it must remember. A test compares the folders with the agent's own.
 */
import type { System } from "./register-command.ts";
import { agentFacts as texts } from "../texts/agents.ts";

export interface AgentBuild {
  readonly machine: string;
  /** As `deno compile` calls it. */
  readonly target: string;
}
export interface AgentFacts {
  readonly needs: string;
  readonly builds: readonly AgentBuild[];
  /** Prints the SHA-256 of the file. */
  readonly checksum: string;
  readonly folders: readonly { readonly path: string; readonly when: string }[];
}

// The targets: "deno compile", docs.deno.com. Windows: "Platform Support" of the rustc book. glibc: denoland/deno issue 30432.
export const AGENT_FACTS: Readonly<Record<System, AgentFacts>> = {
  windows: {
    needs: texts.windows10WindowsServer,
    builds: [{ machine: "x64", target: "x86_64-pc-windows-msvc" }],
    checksum: texts.getFilehashMigrateAgent,
    folders: [{ path: "%LOCALAPPDATA%\\migrate-agent", when: texts.personWhoRuns }],
  },
  macos: {
    needs: texts.macAppleSiliconIntel,
    builds: [
      { machine: texts.appleSilicon, target: "aarch64-apple-darwin" },
      { machine: texts.intel, target: "x86_64-apple-darwin" },
    ],
    checksum: "shasum -a 256 ./migrate-agent",
    folders: [{ path: "~/Library/Application Support/migrate-agent", when: texts.personWhoRuns }],
  },
  linux: {
    needs: texts.linuxGlibc227,
    builds: [
      { machine: "x64", target: "x86_64-unknown-linux-gnu" },
      { machine: "arm64", target: "aarch64-unknown-linux-gnu" },
    ],
    checksum: "sha256sum ./migrate-agent",
    folders: [
      { path: "~/.local/state/migrate-agent", when: texts.personWhoRuns },
      { path: "/var/lib/migrate-agent", when: texts.runByRoot },
    ],
  },
};

/** What is in that folder. */
export const AGENT_FILES: readonly { readonly name: string; readonly text: string }[] = [
  { name: "config.toml", text: texts.addressControlPlaneAgents },
  { name: "agent.db", text: texts.whatWantedJobsHow },
  { name: "jobs", text: texts.eachJobJournalSo },
  { name: "manifests", text: texts.listsWhatMovedSha },
  { name: "logs", text: texts.itsLogAtMost },
  { name: "status.json", text: texts.whatItTellsStatus },
  { name: "policy.json", text: texts.yoursIfYouWrite },
];

export function buildCommand({ target }: AgentBuild): string {
  return `npm run build:agent -- --target ${target}`;
}
