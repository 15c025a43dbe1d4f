/**
 * `npm run build:deb [-- --agent <file> --architecture amd64|arm64]`: the agent as a Debian package, with its service. The
 * executable is that of `npm run build:agent`. The same executable and commit give the same package.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { VERSION } from "../schema/version.ts";
import { debianPackage, type DebianPackage } from "./debian-package.ts";
import { ROOT } from "./environment.ts";

const LINUX = join(ROOT, "packaging/linux");

/** What is in the package. */
export function agentPackage(agent: Uint8Array, architecture: string, changedAt: number): DebianPackage {
  const read = (name: string) => readFileSync(join(LINUX, name), "utf8");
  return {
    control: {
      Package: "migrate-agent",
      Version: VERSION,
      Architecture: architecture,
      Maintainer: "The One Migrate <support@theonemigrate.app>",
      // useradd; the executable is built against glibc.
      Depends: "libc6 (>= 2.27), passwd",
      Section: "admin",
      Priority: "optional",
      Homepage: "https://theonemigrate.app",
      Description: "moves files to cloud storage, and proves that they arrived",
    },
    scripts: { postinst: read("postinst"), prerm: read("prerm"), postrm: read("postrm") },
    files: [
      { path: "usr/bin/migrate-agent", mode: 0o755, bytes: agent },
      {
        path: "usr/lib/systemd/system/migrate-agent.service",
        mode: 0o644,
        bytes: readFileSync(join(LINUX, "migrate-agent.service")),
      },
    ],
    changedAt,
  };
}

function main(): void {
  const { values } = parseArgs({
    options: {
      agent: { type: "string", default: join(ROOT, "dist/agent/migrate-agent") },
      architecture: { type: "string", default: process.arch === "arm64" ? "arm64" : "amd64" },
    },
  });
  const folder = join(ROOT, "dist/packages");
  mkdirSync(folder, { recursive: true });
  const commit = ["log", "-1", "--format=%ct"];
  const changedAt = Number(execFileSync("git", commit, { cwd: ROOT, encoding: "utf8" }));
  const bytes = debianPackage(agentPackage(readFileSync(values.agent), values.architecture, changedAt));
  const file = join(folder, `migrate-agent_${VERSION}_${values.architecture}.deb`);
  writeFileSync(file, bytes);
  console.log(`${file}: ${(bytes.length / 1e6).toFixed(0)} MB`);
  console.log(`SHA-256: ${createHash("sha256").update(bytes).digest("hex")}`);
}

if (import.meta.main) main();
