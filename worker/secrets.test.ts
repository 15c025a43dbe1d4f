import { expect, test } from "vitest";
import {
  base64,
  fromBase64,
  hmacSha256Hex,
  isKeyRing,
  randomToken,
  seal,
  sha256Hex,
  unseal,
} from "./secrets.ts";

const key = (fill: number) => base64(new Uint8Array(32).fill(fill));
const RING = `a1:${key(1)}`;
const PLACE = { table: "storage_connections", column: "sealed_secret", orgId: "org_1", id: "con_1" };
const SECRET = '{"kind":"connection_string","accountKey":"geheim–秘密"}';

test("[C7] a sealed secret opens in its place, and is not to be read in what is stored", async () => {
  const sealed = await seal(RING, PLACE, SECRET);
  expect(sealed).toMatch(/^a1\.[\w-]{16}\.[\w-]+$/);
  expect(sealed).not.toContain("geheim");
  expect(await unseal(RING, PLACE, sealed)).toBe(SECRET);
});

test("[C7] a sealed secret opens in no other row, organization, table or column", async () => {
  const sealed = await seal(RING, PLACE, SECRET);
  const elsewhere = [
    { ...PLACE, id: "con_2" },
    { ...PLACE, orgId: "org_2" },
    { ...PLACE, table: "agents" },
    { ...PLACE, column: "name" },
  ];
  for (const place of elsewhere) await expect(unseal(RING, place, sealed)).rejects.toThrow();
});

test("[C7] a sealed secret in which one character was changed does not open", async () => {
  const sealed = await seal(RING, PLACE, SECRET);
  // The last character of a group may hold bits that mean nothing, so each is changed by a bit that means something.
  for (let at = 3; at < sealed.length; at += 5) {
    if (sealed[at] === ".") continue;
    const other = sealed[at] === "A" ? "Q" : "A";
    await expect(unseal(RING, PLACE, sealed.slice(0, at) + other + sealed.slice(at + 1))).rejects.toThrow();
  }
});

test("[C7] the same secret sealed twice looks different", async () => {
  expect(await seal(RING, PLACE, SECRET)).not.toBe(await seal(RING, PLACE, SECRET));
});

test("[C7] after a rotation the new key seals and the old one still opens, until it leaves the ring", async () => {
  const old = await seal(RING, PLACE, SECRET);
  const rotated = `b2:${key(2)},${RING}`;
  expect(await unseal(rotated, PLACE, old)).toBe(SECRET);
  expect(await seal(rotated, PLACE, SECRET)).toMatch(/^b2\./);
  await expect(unseal(`b2:${key(2)}`, PLACE, old)).rejects.toThrow("not in the ring");
  await expect(unseal(`a1:${key(2)}`, PLACE, old)).rejects.toThrow();
});

test("[C7] a key ring that is none is known as such, and nothing is sealed with it", async () => {
  const bad = [
    undefined,
    "",
    "a1",
    "a1:",
    `a1:${base64(new Uint8Array(16))}`,
    "a1:!!!",
    `A 1:${key(1)}`,
    `${RING},`,
    `:${key(1)}`,
  ];
  for (const ring of bad) {
    expect(isKeyRing(ring), String(ring)).toBe(false);
    await expect(seal(ring, PLACE, SECRET)).rejects.toThrow();
  }
  expect(isKeyRing(RING)).toBe(true);
  expect(isKeyRing(`${RING}, b2:${key(2)}`)).toBe(true);
});

test("[S5] a random token has 256 bits and never comes twice", () => {
  const tokens = Array.from({ length: 1_000 }, randomToken);
  for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
  expect(new Set(tokens).size).toBe(1_000);
});

test("digests are those of the known vectors", async () => {
  expect(await sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // RFC 4231, case 2.
  expect(await hmacSha256Hex("Jefe", "what do ya want for nothing?")).toBe(
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

test("base64 of every length comes back as it was", () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 37) % 256);
    expect(fromBase64(base64(bytes))).toEqual(bytes);
  }
});
