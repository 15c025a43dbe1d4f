/**
 * Digests, random tokens, and the sealing of secrets that rest in the database.
 *
 * A sealed secret is `kid.iv.ciphertext` (AES-256-GCM, random 96-bit IV). Its additional data names the row and column it
 * belongs to, so that a ciphertext copied into another row or organization does not open.
 */

const encoder = { encode: (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer> };
const decoder = new TextDecoder();

/** Where a sealed secret rests; part of what is authenticated. */
export interface SealedPlace {
  readonly table: string;
  readonly column: string;
  readonly orgId: string;
  readonly id: string;
}

export const KEY_RING_FORM = '"kid:base64 of 32 bytes", separated by commas';

export function isKeyRing(keys: string | undefined): boolean {
  try {
    return parseKeys(keys).length > 0;
  } catch {
    return false;
  }
}

export async function seal(keys: string | undefined, place: SealedPlace, secret: string): Promise<string> {
  const [kid, key] = parseKeys(keys)[0];
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: additionalData(kid, place) },
    await importKey(key),
    encoder.encode(secret),
  );
  return [kid, base64Url(iv), base64Url(new Uint8Array(sealed))].join(".");
}

/** Throws when the secret was sealed for another place or under a key that is not in the ring. */
export async function unseal(keys: string | undefined, place: SealedPlace, sealed: string): Promise<string> {
  const [kid, iv, ciphertext] = sealed.split(".");
  const key = parseKeys(keys).find(([id]) => id === kid)?.[1];
  if (kid === undefined || iv === undefined || ciphertext === undefined || key === undefined) {
    throw new Error("Cannot open a sealed secret: its key is not in the ring");
  }
  const plain = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv: fromBase64Url(iv), additionalData: additionalData(kid, place) },
    await importKey(key),
    fromBase64Url(ciphertext),
  );
  return decoder.decode(plain);
}

/** Whether it was sealed under the key that seals today. */
export function isSealedUnderNewest(keys: string | undefined, sealed: string): boolean {
  return sealed.startsWith(`${parseKeys(keys)[0][0]}.`);
}

/** 256 random bits, for cookies and keys. */
export function randomToken(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(32)));
}

export async function sha256Hex(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))));
}

export async function hmacSha256(key: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, encoder.encode(text)));
}

export async function hmacSha256Hex(secret: string, text: string): Promise<string> {
  return hex(await hmacSha256(encoder.encode(secret), text));
}

/** Compares two secrets in a time that tells nothing about where they differ. */
export async function sameSecret(left: string, right: string): Promise<boolean> {
  const [a, b] = await Promise.all(
    [left, right].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))),
  );
  return crypto.subtle.timingSafeEqual(a as ArrayBuffer, b as ArrayBuffer);
}

export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Throws on text that is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function base64Url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function additionalData(kid: string, place: SealedPlace): Uint8Array<ArrayBuffer> {
  return encoder.encode([place.table, place.orgId, place.id, place.column, kid].join("/"));
}

type KeyRing = [[kid: string, key: Uint8Array<ArrayBuffer>], ...[string, Uint8Array<ArrayBuffer>][]];

function parseKeys(keys: string | undefined): KeyRing {
  const ring = (keys ?? "").split(",").map((part): [string, Uint8Array<ArrayBuffer>] => {
    const [kid = "", key = ""] = part.trim().split(":");
    const bytes = fromBase64(key);
    if (!/^[a-z0-9]{1,16}$/.test(kid) || bytes.length !== 32) {
      throw new Error(`SECRETS_KEYS must be ${KEY_RING_FORM}`);
    }
    return [kid, bytes];
  });
  return ring as KeyRing;
}

async function importKey(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}
