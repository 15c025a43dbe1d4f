/**
 * What says which agent is to be installed: a release, signed by a signing key, which is certified by the root key whose
 * public half is compiled into the agent. `docs/decisions/0017-self-update.md` tells why it is so.
 *
 * What is signed is a text, carried as it is: canonical JSON ({@link canonicalJson}) behind a line that says what kind of text
 * it is, so that neither can be taken for the other. The envelope around the two is not signed and says nothing by itself.
 *
 * Keys, signatures and digests are lower-case hex: there is one way to write each.
 */
import * as z from "zod";

export const RELEASE_FORMAT = 1;
/** A signed release is about 2 KB. */
export const SIGNED_RELEASE_CHARACTERS_MAX = 64 * 1024;
export const EXECUTABLE_BYTES_MAX = 512 * 1024 * 1024;
/** Who has stolen a signing key can use it no longer than this. */
export const CERTIFICATE_DAYS_MAX = 100;
/** Who keeps an agent from newer releases can do so unseen no longer than this. */
export const RELEASE_DAYS_MAX = 100;

/** As `Deno.build.target` and `deno compile --target` have them. */
export const RELEASE_TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
] as const;
export type ReleaseTarget = (typeof RELEASE_TARGETS)[number];

export const RELEASE_CHANNELS = ["stable", "beta"] as const;
export const releaseChannel = z.enum(RELEASE_CHANNELS);
export type ReleaseChannel = z.infer<typeof releaseChannel>;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const instant = z.iso.datetime();
const counter = z.int().min(1);

/** Three numbers; there are no others, so that "newer" has one meaning. */
export const releaseVersion = z.string().regex(/^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/);

/** The name of an executable among the others: one segment, nothing that means anything to a file system. */
export const executableName = z
  .string()
  .max(120)
  .regex(
    /^migrate-agent-[0-9a-z]+([._-][0-9a-z]+)*$/,
    "Give the path of an executable, as the release has it",
  );

export const releaseFile = z.strictObject({
  path: executableName,
  sizeBytes: z.int().min(1).max(EXECUTABLE_BYTES_MAX),
  sha256: hex(32),
});
export type ReleaseFile = z.infer<typeof releaseFile>;

export const release = z.strictObject({
  format: z.literal(RELEASE_FORMAT),
  /** Greater in each release of a certificate, also where only the roll-out changes. */
  sequence: counter,
  channel: releaseChannel,
  version: releaseVersion,
  releasedAt: instant,
  expiresAt: instant,
  /** How many of a hundred agents take it. */
  rolloutPercent: z.int().min(0).max(100),
  targets: z.partialRecord(z.enum(RELEASE_TARGETS), releaseFile),
});
export type Release = z.infer<typeof release>;

export const certificate = z.strictObject({
  format: z.literal(RELEASE_FORMAT),
  /** Greater in each certificate: an agent that has seen one takes none with a smaller one. */
  serial: counter,
  /** Ed25519, raw. */
  key: hex(32),
  notBefore: instant,
  expiresAt: instant,
});
export type Certificate = z.infer<typeof certificate>;

const signedText = z.strictObject({ text: z.string(), signature: hex(64) });
export const signedRelease = z.strictObject({
  format: z.literal(RELEASE_FORMAT),
  certificate: signedText,
  release: signedText,
});
export type SignedRelease = z.infer<typeof signedRelease>;

export const releaseQuery = z.strictObject({ channel: releaseChannel.default("stable") });
export const executableQuery = z.strictObject({ path: executableName });

/** What the dashboard shows of the newest release; null while there is none. */
export const releaseShown = z.object({
  release: z
    .object({
      version: releaseVersion,
      releasedAt: instant,
      rolloutPercent: z.int(),
      files: z.array(releaseFile.extend({ target: z.enum(RELEASE_TARGETS) })),
    })
    .nullable(),
});
export type ReleaseShown = z.infer<typeof releaseShown>;

/** What a signature is made over, in UTF-8. */
export function textToSign(kind: "certificate" | "release", text: string): string {
  return `The One Migrate ${kind} ${RELEASE_FORMAT}\n${text}`;
}

/** JSON without room for choice: keys in the order of their code units, no space. For objects, texts and integers. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return JSON.stringify(value);
  const members = Object.entries(value)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/** Below 0 when the left one is the older. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.split(".").map(Number));
  for (let index = 0; index < 3; index++) {
    const difference = (a?.[index] ?? 0) - (b?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
