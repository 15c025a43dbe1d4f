/** The measuring tools of `bench/native`, built on demand with cargo into the cache. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../tools/environment.ts";
import { CACHE, NotAvailable } from "./cache.ts";
import { runCommand } from "./command.ts";

const OPENSSL_HEADERS = ["/usr/include/openssl/ssl.h", "/usr/local/include/openssl/ssl.h"];

export interface NativeTools {
  readonly nullsink: string;
  readonly genload: string;
  readonly putblast: string;
  readonly measure: string;
  /** Null when the sink can speak TLS; else what is missing for that. */
  readonly noTls: string | null;
}

export async function buildNativeTools(signal: AbortSignal): Promise<NativeTools> {
  const cargo = findProgram("cargo") ?? join(process.env["HOME"] ?? "", ".cargo/bin/cargo");
  if (!existsSync(cargo)) {
    throw new NotAvailable(
      'Cannot build the measuring tools: there is no "cargo". Install Rust 1.75 or newer (Debian: apt-get install cargo; or https://rustup.rs)',
    );
  }
  const withTls = OPENSSL_HEADERS.some(existsSync);
  const target = join(CACHE, "native");
  const words = [
    "build",
    "--release",
    "--locked",
    "--manifest-path",
    join(ROOT, "bench/native/Cargo.toml"),
    "--target-dir",
    target,
    ...(withTls ? ["--features", "tls"] : []),
  ];
  await runCommand("The build of the measuring tools", { command: cargo, arguments: words }, signal);
  const tool = (name: string) => join(target, "release", name);
  return {
    nullsink: tool("nullsink"),
    genload: tool("genload"),
    putblast: tool("putblast"),
    measure: tool("measure"),
    noTls: withTls
      ? null
      : "the sink has no TLS: OpenSSL's headers are missing (Debian: apt-get install libssl-dev)",
  };
}

/** A program on the PATH, by its full path. */
export function findProgram(name: string): string | null {
  const folders = (process.env["PATH"] ?? "").split(":").filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(existsSync) ?? null;
}
