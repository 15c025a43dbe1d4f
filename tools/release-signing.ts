/** Makes what `agent/update/verify.ts` judges: keys, the certificate of a signing key, signed releases. */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import {
  canonicalJson,
  certificate,
  type Certificate,
  release,
  type Release,
  RELEASE_FORMAT,
  type SignedRelease,
  textToSign,
} from "../schema/release.ts";

export interface SigningKey {
  readonly secret: KeyObject;
  /** Ed25519, raw, in hex. */
  readonly public: string;
}

export type SignedText = SignedRelease["release"];

export function newSigningKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync("ed25519").privateKey);
}

/** Reads what {@link pemOf} wrote. */
export function readSigningKey(pem: string): SigningKey {
  return signingKeyOf(createPrivateKey(pem));
}

export function pemOf({ secret }: SigningKey): string {
  return String(secret.export({ type: "pkcs8", format: "pem" }));
}

export function certify(root: SigningKey, content: Certificate): SignedText {
  return signText(root, "certificate", canonicalJson(certificate.parse(content)));
}

export function signRelease(key: SigningKey, by: SignedText, content: Release): SignedRelease {
  const signed = signText(key, "release", canonicalJson(release.parse(content)));
  return { format: RELEASE_FORMAT, certificate: by, release: signed };
}

/** Whatever the text is; tests sign what must not be believed all the same. */
export function signText(key: SigningKey, kind: "certificate" | "release", text: string): SignedText {
  return { text, signature: sign(null, Buffer.from(textToSign(kind, text)), key.secret).toString("hex") };
}

function signingKeyOf(secret: KeyObject): SigningKey {
  const { x = "" } = createPublicKey(secret).export({ format: "jwk" });
  return { secret, public: Buffer.from(x, "base64url").toString("hex") };
}
