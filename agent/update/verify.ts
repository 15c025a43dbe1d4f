/**
 * Whether a signed release is to be installed here. Pure: the text, the root key, the clock and what this agent remembers go
 * in, a verdict comes out. Nothing of a text is looked at before its signature was found right, but for the envelope.
 *
 * A release that is authentic is remembered even if it is not for us (`seen`): from then on nothing older is believed, so
 * that nobody can bring back a release with a known hole, or hold us at one by repeating it longer than it is valid.
 */
import type * as z from "zod";
import {
  canonicalJson,
  type Certificate,
  certificate,
  CERTIFICATE_DAYS_MAX,
  compareVersions,
  type Release,
  release,
  RELEASE_DAYS_MAX,
  type ReleaseChannel,
  type ReleaseFile,
  type ReleaseTarget,
  SIGNED_RELEASE_CHARACTERS_MAX,
  type SignedRelease,
  signedRelease,
  textToSign,
} from "../../schema/release.ts";

const DAY_MS = 86_400_000;
/** Clocks of machines are wrong by hours rather than by days. */
const CLOCK_ERROR_MS = DAY_MS;

/** The newest authentic release this agent has seen. */
export interface Seen {
  readonly serial: number;
  readonly sequence: number;
  /** Of the release's text: there is one release of a number. */
  readonly sha256: string;
}

export type UpdateRefusalCode =
  | "too_large"
  | "not_json"
  | "envelope_malformed"
  | "certificate_signature"
  | "certificate_malformed"
  | "certificate_not_yet_valid"
  | "certificate_expired"
  | "certificate_superseded"
  | "release_signature"
  | "release_malformed"
  | "release_not_yet_valid"
  | "release_expired"
  | "wrong_channel"
  | "replayed"
  | "sequence_reused"
  | "no_target"
  | "not_newer"
  | "failed_before"
  | "not_in_rollout";

export interface UpdateQuestion {
  /** The signed release, as it came. */
  readonly text: string;
  /** Ed25519, raw, in hex. */
  readonly rootKey: string;
  readonly nowMs: number;
  readonly channel: ReleaseChannel;
  /** Null or unknown where there are no releases for this system. */
  readonly target: string;
  readonly agentId: string;
  readonly installed: string;
  readonly seen: Seen | null;
  /** Versions that were tried here in vain. */
  readonly failed: readonly string[];
}

export type UpdateVerdict =
  | {
      readonly kind: "install";
      readonly version: string;
      readonly file: ReleaseFile;
      readonly seen: Seen;
    }
  | {
      readonly kind: "refused";
      readonly code: UpdateRefusalCode;
      readonly message: string;
      /** To be remembered; null when nothing of it can be believed. */
      readonly seen: Seen | null;
    };

/** What leads out of the checks; never thrown to a caller. */
class Refused extends Error {
  readonly code: UpdateRefusalCode;
  constructor(code: UpdateRefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

export async function judgeRelease(question: UpdateQuestion): Promise<UpdateVerdict> {
  let seen: Seen | null = null;
  try {
    const envelope = openEnvelope(question.text);
    const trusted = await openCertificate(envelope, question);
    const found = await openRelease(envelope, trusted.key, question);
    const known = { serial: trusted.serial, sequence: found.sequence };
    const current = { ...known, sha256: await sha256Hex(envelope.release.text) };
    refuseOlder(current, question.seen);
    seen = current;
    const file = await fileForUs(found, question);
    return { kind: "install", version: found.version, file, seen };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { kind: "refused", code: error.code, message: error.message, seen };
  }
}

/** At least 0, below 100; the same for one agent and one version, wherever it is asked. */
export async function rolloutPlace(agentId: string, version: string): Promise<number> {
  const digest = await sha256Hex(`${agentId} ${version}`);
  return (Number.parseInt(digest.slice(0, 8), 16) * 100) / 2 ** 32;
}

function openEnvelope(text: string): SignedRelease {
  if (text.length > SIGNED_RELEASE_CHARACTERS_MAX)
    throw new Refused("too_large", "The release manifest is larger than any of ours");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused(
      "not_json",
      "The release manifest is not JSON; perhaps a proxy's page came in its place",
    );
  }
  const parsed = signedRelease.safeParse(value);
  if (!parsed.success)
    throw new Refused("envelope_malformed", "The release manifest is not of the form this agent understands");
  return parsed.data;
}

async function openCertificate(
  { certificate: { text, signature } }: SignedRelease,
  { rootKey, nowMs, seen }: UpdateQuestion,
): Promise<Certificate> {
  if (!(await isSigned(rootKey, signature, textToSign("certificate", text))))
    throw new Refused(
      "certificate_signature",
      "The signing key is not certified by the root key of this agent",
    );
  const found = parseCanonical(certificate, text);
  if (found === null || lastsDays(found.notBefore, found.expiresAt) > CERTIFICATE_DAYS_MAX)
    throw new Refused("certificate_malformed", "The signing key's certificate breaks the rules for one");
  if (Date.parse(found.notBefore) > nowMs + CLOCK_ERROR_MS)
    throw new Refused(
      "certificate_not_yet_valid",
      `The signing key's certificate begins at ${found.notBefore}; look at this machine's clock`,
    );
  if (Date.parse(found.expiresAt) <= nowMs)
    throw new Refused("certificate_expired", `The signing key's certificate ended at ${found.expiresAt}`);
  if (seen !== null && found.serial < seen.serial)
    throw new Refused(
      "certificate_superseded",
      `The signing key was replaced: its certificate is number ${found.serial}, and number ${seen.serial} was seen`,
    );
  return found;
}

async function openRelease(
  { release: { text, signature } }: SignedRelease,
  signingKey: string,
  { nowMs, channel }: UpdateQuestion,
): Promise<Release> {
  if (!(await isSigned(signingKey, signature, textToSign("release", text))))
    throw new Refused("release_signature", "The release is not signed by the signing key it names");
  const found = parseCanonical(release, text);
  if (found === null || lastsDays(found.releasedAt, found.expiresAt) > RELEASE_DAYS_MAX)
    throw new Refused("release_malformed", "The release breaks the rules for one");
  if (Date.parse(found.releasedAt) > nowMs + CLOCK_ERROR_MS)
    throw new Refused(
      "release_not_yet_valid",
      `The release is of ${found.releasedAt}, which is yet to come; look at this machine's clock`,
    );
  if (Date.parse(found.expiresAt) <= nowMs)
    throw new Refused(
      "release_expired",
      `The release ended at ${found.expiresAt}; the control plane, or somebody on the way, keeps newer ones back`,
    );
  if (found.channel !== channel)
    throw new Refused(
      "wrong_channel",
      `The release is of channel "${found.channel}", and this agent follows "${channel}"`,
    );
  return found;
}

function refuseOlder(current: Seen, seen: Seen | null): void {
  // A new certificate begins anew: a stolen key may have used up the numbers.
  if (seen === null || current.serial > seen.serial) return;
  if (current.sequence < seen.sequence)
    throw new Refused(
      "replayed",
      `The release is number ${current.sequence}, and number ${seen.sequence} was seen before`,
    );
  if (current.sequence === seen.sequence && current.sha256 !== seen.sha256)
    throw new Refused(
      "sequence_reused",
      `The release is number ${current.sequence}, and another one of that number was seen before`,
    );
}

async function fileForUs(
  { version, targets, rolloutPercent }: Release,
  { target, installed, failed, agentId }: UpdateQuestion,
): Promise<ReleaseFile> {
  if (compareVersions(version, installed) <= 0)
    throw new Refused("not_newer", `The release is version ${version}, and ${installed} is installed`);
  const file = Object.hasOwn(targets, target) ? targets[target as ReleaseTarget] : undefined;
  if (file === undefined)
    throw new Refused("no_target", `Version ${version} was not released for this system, ${target}`);
  if (failed.includes(version))
    throw new Refused("failed_before", `Version ${version} was tried on this machine and did not work`);
  if ((await rolloutPlace(agentId, version)) >= rolloutPercent)
    throw new Refused("not_in_rollout", `Version ${version} has not come to this agent yet`);
  return file;
}

/** Null where it is not what the shape says, or written otherwise than it is signed by us. */
function parseCanonical<Shape extends z.ZodType>(shape: Shape, text: string): z.infer<Shape> | null {
  try {
    const parsed = shape.safeParse(JSON.parse(text));
    return parsed.success && canonicalJson(parsed.data) === text ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Beyond all limits where it ends before it begins. */
function lastsDays(from: string, to: string): number {
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS;
  return days > 0 ? days : Infinity;
}

async function isSigned(key: string, signature: string, text: string): Promise<boolean> {
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey("raw", bytesOf(key), "Ed25519", false, ["verify"]);
  } catch {
    // 32 bytes that are no point of the curve.
    return false;
  }
  return await crypto.subtle.verify("Ed25519", imported, bytesOf(signature), new TextEncoder().encode(text));
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

async function sha256Hex(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
