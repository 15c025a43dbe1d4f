/**
 * Keys for releases, and releases signed by them. `docs/release.md` says who does which, where.
 *
 *     npm run release:keys -- --folder <folder>
 *     npm run release:sign -- <folder of executables> --keys <folder> [--rollout 10] [--channel stable] [--days 30]
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  certificate,
  type Release,
  RELEASE_FORMAT,
  RELEASE_TARGETS,
  releaseChannel,
  signedRelease,
  type SignedRelease,
} from "../schema/release.ts";
import { VERSION } from "../schema/version.ts";
import { ROOT } from "./environment.ts";
import { certify, newSigningKey, pemOf, readSigningKey, signRelease } from "./release-signing.ts";

const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS = 90;
const signedText = signedRelease.shape.certificate;

/** Makes a root key where there is none, and a new signing key with the next certificate. Returns the root's public half. */
export function makeKeys(
  folder: string,
  nowMs: number,
): { rootKey: string; serial: number; expiresAt: string } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const rootPath = join(folder, "root.pem");
  if (!existsSync(rootPath)) writeFileSync(rootPath, pemOf(newSigningKey()), { mode: 0o600, flag: "wx" });
  const root = readSigningKey(readFileSync(rootPath, "utf8"));
  const key = newSigningKey();
  const before = existsSync(join(folder, "certificate.json")) ? readCertificate(folder).content.serial : 0;
  const content = {
    format: RELEASE_FORMAT,
    serial: before + 1,
    key: key.public,
    notBefore: new Date(nowMs).toISOString(),
    expiresAt: new Date(nowMs + CERTIFICATE_DAYS * DAY_MS).toISOString(),
  } as const;
  replaceFile(join(folder, "signing.pem"), pemOf(key));
  replaceFile(join(folder, "certificate.json"), `${JSON.stringify(certify(root, content))}\n`);
  return { rootKey: root.public, serial: content.serial, expiresAt: content.expiresAt };
}

export interface ReleaseInput {
  /** Holds `migrate-agent-<target>`, as `npm run build:agent -- --target <target>` names them. */
  readonly executables: string;
  /** Holds `signing.pem` and `certificate.json`; the root key has no business there. */
  readonly keys: string;
  readonly output: string;
  readonly channel: string;
  readonly rolloutPercent: number;
  readonly days: number;
  readonly version: string;
  readonly nowMs: number;
}

/** Writes `<channel>.json` and the executables by their names in it. Throws with a sentence when something is missing. */
export function makeRelease(input: ReleaseInput): { signed: SignedRelease; paths: string[] } {
  const { executables, keys, output, nowMs, version } = input;
  const names = readdirSync(executables);
  const targets: Release["targets"] = {};
  const paths: string[] = [];
  mkdirSync(output, { recursive: true });
  for (const target of RELEASE_TARGETS) {
    const name = names.find(
      (each) => each === `migrate-agent-${target}` || each === `migrate-agent-${target}.exe`,
    );
    if (name === undefined) continue;
    const bytes = readFileSync(join(executables, name));
    const path = `migrate-agent-${version}-${target}`;
    targets[target] = {
      path,
      sizeBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    };
    copyFileSync(join(executables, name), join(output, path));
    paths.push(path);
  }
  if (paths.length === 0)
    throw new Error(
      `There is no executable in "${executables}": they are named migrate-agent-<target>, such as migrate-agent-${RELEASE_TARGETS[0]}`,
    );
  const { signed: by, content } = readCertificate(keys);
  const key = readSigningKey(readFileSync(join(keys, "signing.pem"), "utf8"));
  if (content.key !== key.public)
    throw new Error("signing.pem is not the key of certificate.json; run npm run release:keys again");
  if (Date.parse(content.expiresAt) <= nowMs)
    throw new Error(
      `The certificate ended at ${content.expiresAt}; make a new one with npm run release:keys`,
    );
  const channel = releaseChannel.parse(input.channel);
  const signed = signRelease(key, by, {
    format: RELEASE_FORMAT,
    // The clock only grows, and nobody has to remember a number.
    sequence: Math.floor(nowMs / 1_000),
    channel,
    version,
    releasedAt: new Date(nowMs).toISOString(),
    expiresAt: new Date(nowMs + input.days * DAY_MS).toISOString(),
    rolloutPercent: input.rolloutPercent,
    targets,
  });
  writeFileSync(join(output, `${channel}.json`), JSON.stringify(signed));
  return { signed, paths };
}

function readCertificate(folder: string) {
  const signed = signedText.parse(JSON.parse(readFileSync(join(folder, "certificate.json"), "utf8")));
  return { signed, content: certificate.parse(JSON.parse(signed.text)) };
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      folder: { type: "string" },
      keys: { type: "string" },
      rollout: { type: "string", default: "100" },
      channel: { type: "string", default: "stable" },
      days: { type: "string", default: "30" },
    },
  });
  const [what, executables] = positionals;
  if (what === "keys" && values.folder !== undefined) {
    const { rootKey, serial, expiresAt } = makeKeys(values.folder, Date.now());
    console.log(
      `Certificate ${serial}, valid until ${expiresAt}: signing.pem and certificate.json sign releases.`,
    );
    console.log("root.pem stays offline. For agent/update/root-key.ts:");
    console.log(`export const UPDATE_ROOT_KEY: string | null = "${rootKey}";`);
    return;
  }
  if (what === "sign" && executables !== undefined && values.keys !== undefined) {
    const output = join(ROOT, "dist/release");
    const { paths } = makeRelease({
      executables,
      keys: values.keys,
      output,
      channel: values.channel,
      rolloutPercent: Number(values.rollout),
      days: Number(values.days),
      version: VERSION,
      nowMs: Date.now(),
    });
    console.log(`Version ${VERSION} is in ${output}. To publish it, the executables first:`);
    const put = (key: string, name: string) =>
      console.log(
        `npx wrangler r2 object put "migrate-releases/${key}" --file "${join(output, name)}" --remote`,
      );
    for (const path of paths) put(`executables/${path}`, path);
    put(`${values.channel}.json`, `${values.channel}.json`);
    return;
  }
  console.error(
    "npm run release:keys -- --folder <folder>, or npm run release:sign -- <folder of executables> --keys <folder>",
  );
  process.exitCode = 2;
}

if (import.meta.main) main();
