/** An authority of our own and its certificate for 127.0.0.1, made with `openssl` and kept in the cache. Trusted by nobody else. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, NotAvailable } from "./cache.ts";
import { runCommand } from "./command.ts";
import { findProgram } from "./native-tools.ts";

/** Long enough for the cache to be forgotten first. */
const DAYS = "3650";
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
/** A leaf of its own: TLS libraries refuse an authority's certificate at a server. */
const LEAF = "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n";

export interface Certificate {
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

export async function makeCertificate(signal: AbortSignal): Promise<Certificate> {
  const folder = join(CACHE, "certificate");
  const certificate = {
    authorityFile: join(folder, "authority.pem"),
    certificateFile: join(folder, "sink.pem"),
    keyFile: join(folder, "sink.key"),
  };
  if (existsSync(folder)) return certificate;
  const openssl = findProgram("openssl");
  if (openssl === null)
    throw new NotAvailable('there is no "openssl" to make a certificate (Debian: apt-get install openssl)');
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  writeFileSync(join(partial, "leaf.conf"), LEAF);
  const run = (words: readonly string[]) =>
    runCommand("openssl", { command: openssl, arguments: words, folder: partial }, signal);
  const authority = ["-subj", "/CN=Upload benchmark", "-keyout", "authority.key", "-out", "authority.pem"];
  await run(["req", "-x509", ...KEY, "-days", DAYS, ...authority]);
  await run(["req", ...KEY, "-subj", "/CN=127.0.0.1", "-keyout", "sink.key", "-out", "sink.csr"]);
  const signed = [
    "-CA",
    "authority.pem",
    "-CAkey",
    "authority.key",
    "-CAcreateserial",
    "-extfile",
    "leaf.conf",
  ];
  await run(["x509", "-req", "-in", "sink.csr", ...signed, "-days", DAYS, "-out", "sink.pem"]);
  renameSync(partial, folder);
  return certificate;
}
