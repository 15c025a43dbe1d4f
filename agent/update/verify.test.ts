import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  canonicalJson,
  type Certificate,
  compareVersions,
  type Release,
  RELEASE_FORMAT,
  type SignedRelease,
} from "../../schema/release.ts";
import {
  certify,
  newSigningKey,
  pemOf,
  readSigningKey,
  signRelease,
  signText,
} from "../../tools/release-signing.ts";
import { judgeRelease, rolloutPlace, type UpdateQuestion, type UpdateRefusalCode } from "./verify.ts";

const NOW = "2026-11-24T12:00:00.000Z";
const TARGET = "x86_64-unknown-linux-gnu";
const root = newSigningKey();
const key = newSigningKey();
const stranger = newSigningKey();

const CERTIFICATE: Certificate = {
  format: RELEASE_FORMAT,
  serial: 3,
  key: key.public,
  notBefore: "2026-11-01T00:00:00.000Z",
  expiresAt: "2027-01-30T00:00:00.000Z",
};
const RELEASE: Release = {
  format: RELEASE_FORMAT,
  sequence: 7,
  channel: "stable",
  version: "0.2.0",
  releasedAt: "2026-11-20T00:00:00.000Z",
  expiresAt: "2026-12-20T00:00:00.000Z",
  rolloutPercent: 100,
  targets: {
    [TARGET]: {
      path: "migrate-agent-0.2.0-x86_64-unknown-linux-gnu",
      sizeBytes: 1_000,
      sha256: "a".repeat(64),
    },
  },
};
const certified = certify(root, CERTIFICATE);
const GOOD = signRelease(key, certified, RELEASE);

function ask(signed: SignedRelease | string, rest: Partial<UpdateQuestion> = {}) {
  return judgeRelease({
    text: typeof signed === "string" ? signed : JSON.stringify(signed),
    rootKey: root.public,
    nowMs: Date.parse(NOW),
    channel: "stable",
    target: TARGET,
    agentId: `agt_${"0".repeat(26)}`,
    installed: "0.1.0",
    seen: null,
    failed: [],
    ...rest,
  });
}

interface Bad {
  readonly what: string;
  readonly code: UpdateRefusalCode;
  readonly signed: SignedRelease | string;
  readonly rest?: Partial<UpdateQuestion>;
}

const releaseText = (text: string): SignedRelease => ({ ...GOOD, release: signText(key, "release", text) });
const certificateText = (text: string): SignedRelease => ({
  ...GOOD,
  certificate: signText(root, "certificate", text),
});
const released = (change: Partial<Release>) => signRelease(key, certified, { ...RELEASE, ...change });
const certifiedAs = (change: Partial<Certificate>) =>
  signRelease(key, certify(root, { ...CERTIFICATE, ...change }), RELEASE);

/** One bit of one character turned over, so that it stays a text. */
function turned(text: string, index: number): string {
  return text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ 1) + text.slice(index + 1);
}

function everyNth(length: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor((index * length) / count));
}

/** A text, a number, nothing, … in the place of each field; each field left out; one more. */
function misshapen(content: object): string[] {
  const other: readonly unknown[] = [null, -1, 1.5, "", "x", [], {}, true];
  return [
    canonicalJson({ ...content, more: 1 }),
    ...Object.keys(content).flatMap((name) => [
      canonicalJson(Object.fromEntries(Object.entries(content).filter(([each]) => each !== name))),
      ...other
        // No target at all is a release for nobody, and has its own refusal.
        .filter((value) => !(name === "targets" && canonicalJson(value) === "{}"))
        .map((value) => canonicalJson({ ...content, [name]: value })),
    ]),
    canonicalJson(content).replace(",", ", "),
    `${canonicalJson(content)}\n`,
    canonicalJson(content).replace("{", '{"format":1,'),
    JSON.stringify(Object.fromEntries(Object.entries(content).toReversed())),
    "",
    "null",
    "[]",
  ];
}

function badManifests(): Bad[] {
  const text = JSON.stringify(GOOD);
  const file = RELEASE.targets[TARGET];
  assert.ok(file);
  const withFile = (change: object) =>
    releaseText(canonicalJson({ ...RELEASE, targets: { [TARGET]: { ...file, ...change } } }));
  const seen = { serial: 3, sequence: 7, sha256: "b".repeat(64) };
  const turnedIn = (part: "certificate" | "release", of: "text" | "signature"): Bad[] =>
    everyNth(GOOD[part][of].length, 24).map((index) => {
      const signed = { ...GOOD, [part]: { ...GOOD[part], [of]: turned(GOOD[part][of], index) } };
      // A turned character may be no hex any more.
      const isHex = of === "text" || /^[0-9a-f]+$/.test(signed[part].signature);
      const code = isHex ? (`${part}_signature` as const) : ("envelope_malformed" as const);
      return { what: `${part} ${of} turned at ${index}`, code, signed };
    });
  return [
    ...everyNth(text.length, 20).map((end): Bad => {
      return { what: `cut at ${end}`, code: "not_json", signed: text.slice(0, end) };
    }),
    { what: "a proxy's page", code: "not_json", signed: "<html>Sign in</html>" },
    { what: "behind a mark", code: "not_json", signed: `\uFEFF${text}` },
    { what: "without end", code: "too_large", signed: text + " ".repeat(64 * 1024) },
    ...[
      "null",
      "[]",
      "{}",
      "1",
      JSON.stringify({ ...GOOD, more: 1 }),
      JSON.stringify({ ...GOOD, format: 2 }),
    ].map((signed): Bad => ({ what: `envelope ${signed.slice(0, 20)}`, code: "envelope_malformed", signed })),
    ...(["certificate", "release"] as const).flatMap((part) => [
      ...turnedIn(part, "text"),
      ...turnedIn(part, "signature"),
      {
        what: `${part} without a signature`,
        code: "envelope_malformed" as const,
        signed: { ...GOOD, [part]: { ...GOOD[part], signature: "" } },
      },
      {
        what: `${part} with a signature of zeros`,
        code: `${part}_signature` as const,
        signed: { ...GOOD, [part]: { ...GOOD[part], signature: "0".repeat(128) } },
      },
      {
        what: `${part} signed by somebody`,
        code: `${part}_signature` as const,
        signed: { ...GOOD, [part]: signText(stranger, part, GOOD[part].text) },
      },
      {
        what: `${part} signed as the other kind`,
        code: `${part}_signature` as const,
        signed: {
          ...GOOD,
          [part]:
            part === "certificate"
              ? signText(root, "release", GOOD.certificate.text)
              : signText(key, "certificate", GOOD.release.text),
        },
      },
    ]),
    { what: "another root", code: "certificate_signature", signed: GOOD, rest: { rootKey: stranger.public } },
    {
      what: "a root that is no key",
      code: "certificate_signature",
      signed: GOOD,
      rest: { rootKey: "f".repeat(64) },
    },
    {
      what: "a chain of somebody's own",
      code: "certificate_signature",
      signed: signRelease(stranger, certify(stranger, { ...CERTIFICATE, key: stranger.public }), RELEASE),
    },
    {
      what: "a certificate by a signing key",
      code: "certificate_signature",
      signed: signRelease(stranger, certify(key, { ...CERTIFICATE, key: stranger.public }), RELEASE),
    },
    {
      what: "signed by the root itself",
      code: "release_signature",
      signed: signRelease(root, certified, RELEASE),
    },
    {
      what: "the right certificate beside another's release",
      code: "release_signature",
      signed: signRelease(stranger, certified, RELEASE),
    },
    ...misshapen(CERTIFICATE).map((each): Bad => ({
      what: `certificate ${each}`,
      code: "certificate_malformed",
      signed: certificateText(each),
    })),
    ...misshapen(RELEASE).map((each): Bad => ({
      what: `release ${each}`,
      code: "release_malformed",
      signed: releaseText(each),
    })),
    ...[
      { path: "../migrate-agent" },
      { path: "migrate-agent-a/b" },
      { path: "migrate-agent-..\\b" },
      { path: "migrate-agent-%2e%2e" },
      { path: "migrate-agent-a?x=1" },
      { path: "https://example.com/migrate-agent-a" },
      { path: "migrate-agent-A" },
      { sizeBytes: 0 },
      { sizeBytes: 513 * 1024 * 1024 },
      { sha256: "A".repeat(64) },
      { sha256: "a".repeat(63) },
      { url: "https://example.com/" },
    ].map((change): Bad => ({
      what: `file ${JSON.stringify(change)}`,
      code: "release_malformed",
      signed: withFile(change),
    })),
    ...["1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "v1.2.3", "1.2.9999999"].map((version): Bad => ({
      what: `version ${version}`,
      code: "release_malformed",
      signed: releaseText(canonicalJson({ ...RELEASE, version })),
    })),
    {
      what: "a system nobody knows",
      code: "release_malformed",
      signed: releaseText(canonicalJson({ ...RELEASE, targets: { vax: file } })),
    },
    {
      what: "a certificate for too long",
      code: "certificate_malformed",
      signed: certifiedAs({ expiresAt: "2027-02-20T00:00:00.000Z" }),
    },
    {
      what: "a certificate that ends before it begins",
      code: "certificate_malformed",
      signed: certifiedAs({ notBefore: "2027-02-20T00:00:00.000Z" }),
    },
    {
      what: "before the certificate",
      code: "certificate_not_yet_valid",
      signed: certifiedAs({ notBefore: "2026-11-26T00:00:00.000Z" }),
    },
    {
      what: "at the certificate's end",
      code: "certificate_expired",
      signed: certifiedAs({ expiresAt: NOW }),
    },
    {
      what: "years later",
      code: "certificate_expired",
      signed: GOOD,
      rest: { nowMs: Date.parse("2030-01-01") },
    },
    {
      what: "a certificate that was replaced",
      code: "certificate_superseded",
      signed: GOOD,
      rest: { seen: { ...seen, serial: 4, sequence: 1 } },
    },
    {
      what: "a release for too long",
      code: "release_malformed",
      signed: released({ expiresAt: "2027-04-20T00:00:00.000Z" }),
    },
    {
      what: "a release of tomorrow",
      code: "release_not_yet_valid",
      signed: released({ releasedAt: "2026-11-26T00:00:00.000Z" }),
    },
    { what: "at the release's end", code: "release_expired", signed: released({ expiresAt: NOW }) },
    { what: "a beta", code: "wrong_channel", signed: released({ channel: "beta" }) },
    { what: "an older number", code: "replayed", signed: GOOD, rest: { seen: { ...seen, sequence: 8 } } },
    { what: "another of the same number", code: "sequence_reused", signed: GOOD, rest: { seen } },
    { what: "another system", code: "no_target", signed: GOOD, rest: { target: "aarch64-apple-darwin" } },
    { what: "a system like no other", code: "no_target", signed: GOOD, rest: { target: "constructor" } },
    { what: "for nobody", code: "no_target", signed: released({ targets: {} }) },
    ...["0.2.0", "0.2.1", "0.10.0", "1.0.0"].map((installed): Bad => ({
      what: `${installed} is there`,
      code: "not_newer",
      signed: GOOD,
      rest: { installed },
    })),
    { what: "one that failed", code: "failed_before", signed: GOOD, rest: { failed: ["0.2.0"] } },
    { what: "not rolled out", code: "not_in_rollout", signed: released({ rolloutPercent: 0 }) },
  ];
}

Deno.test("[A120] each of some hundred bad release manifests is refused for its own reason, and a good one is not", async () => {
  const bad = badManifests();
  assert.ok(bad.length >= 300, `${bad.length} are too few`);
  const wrong: string[] = [];
  for (const { what, code, signed, rest } of bad) {
    const verdict = await ask(signed, rest);
    if (verdict.kind === "install") wrong.push(`${what}: accepted`);
    else if (verdict.code !== code) wrong.push(`${what}: ${verdict.code}, not ${code}`);
    else if (!/^[A-Z].*[^.]$/.test(verdict.message))
      wrong.push(`${what}: "${verdict.message}" is no sentence`);
  }
  assert.deepEqual(wrong, []);
  const verdict = await ask(GOOD);
  assert.equal(verdict.kind, "install");
  assert.deepEqual(verdict.kind === "install" && verdict.file, RELEASE.targets[TARGET]);
});

Deno.test("[A121] an authentic release is remembered although it is not for this agent; of one that is not, nothing is", async () => {
  const held = await ask(released({ rolloutPercent: 0 }));
  assert.equal(held.seen?.sequence, 7);
  assert.equal(held.seen.serial, 3);
  // The same once more is no replay.
  assert.equal((await ask(GOOD, { seen: (await ask(GOOD)).seen })).kind, "install");
  assert.equal(
    (await ask({ ...GOOD, release: signText(stranger, "release", GOOD.release.text) })).seen,
    null,
  );
  assert.equal((await ask(released({ channel: "beta" }))).seen, null);
  assert.equal((await ask(GOOD, { seen: { serial: 3, sequence: 8, sha256: "" } })).seen, null);
});

Deno.test("[A121] a new certificate begins to count anew, and the one before is worth nothing then", async () => {
  const spoilt = { serial: 2, sequence: Number.MAX_SAFE_INTEGER, sha256: "" };
  const verdict = await ask(GOOD, { seen: spoilt });
  assert.equal(verdict.kind, "install");
  const before = await ask(certifiedAs({ serial: 2 }), { seen: verdict.seen });
  assert.equal(before.kind === "refused" && before.code, "certificate_superseded");
});

Deno.test("[A122] the roll-out takes as many agents as it says, the same ones each time, and others for the next version", async () => {
  const ids = Array.from({ length: 2_000 }, (_, index) => `agt_${String(index).padStart(26, "0")}`);
  const takes = async (version: string, percent: number) => {
    const places = await Promise.all(ids.map(async (id) => [id, await rolloutPlace(id, version)] as const));
    return places.filter(([, place]) => place < percent).map(([id]) => id);
  };
  const tenth = await takes("0.2.0", 10);
  assert.ok(tenth.length > 140 && tenth.length < 260, String(tenth.length));
  assert.deepEqual(await takes("0.2.0", 10), tenth);
  const half = new Set(await takes("0.2.0", 50));
  assert.ok(tenth.every((id) => half.has(id)));
  assert.notDeepEqual(await takes("0.3.0", 10), tenth);
  assert.equal((await takes("0.2.0", 100)).length, ids.length);
  const [inside] = tenth;
  const [outside] = ids.filter((id) => !half.has(id));
  const signed = released({ rolloutPercent: 10 });
  assert.equal((await ask(signed, { agentId: inside as string })).kind, "install");
  assert.equal((await ask(signed, { agentId: outside as string })).kind, "refused");
});

Deno.test("versions are compared by their numbers", () => {
  const sorted = ["0.1.0", "0.1.9", "0.1.10", "0.2.0", "1.0.0", "10.0.0"];
  assert.deepEqual(sorted.toReversed().toSorted(compareVersions), sorted);
});

Deno.test("a key that was written down and read again signs as before", async () => {
  const again = readSigningKey(pemOf(key));
  assert.equal(again.public, key.public);
  assert.equal(Buffer.from(again.public, "hex").length, 32);
  assert.equal((await ask(signRelease(again, certified, RELEASE))).kind, "install");
});
