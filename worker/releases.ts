/**
 * Releases of the agent, as `npm run release:sign` makes them and the operator puts them into object storage: one
 * `<channel>.json`, and the executables it names. They are handed out as they lie there. What agents believe of them they
 * judge by themselves (`agent/update/verify.ts`); this side holds no key, and what it says to people is as good as the storage.
 */
import {
  release,
  SIGNED_RELEASE_CHARACTERS_MAX,
  signedRelease,
  type ReleaseChannel,
  type ReleaseShown,
  type ReleaseTarget,
} from "../schema/release.ts";

/** The newest release of a channel, signed; null while there is none. */
export async function signedReleaseOf(bucket: R2Bucket, channel: ReleaseChannel): Promise<string | null> {
  const object = await bucket.get(`${channel}.json`);
  if (object === null) return null;
  // UTF-8 takes at least a byte for a character.
  if (object.size > SIGNED_RELEASE_CHARACTERS_MAX) {
    await object.body.cancel();
    throw new Error(`${channel}.json holds ${object.size} bytes, which is no release`);
  }
  return await object.text();
}

/** What a person is shown of a release. Throws when it is none. */
export function shownRelease(text: string): NonNullable<ReleaseShown["release"]> {
  const { version, releasedAt, rolloutPercent, targets } = release.parse(
    JSON.parse(signedRelease.parse(JSON.parse(text)).release.text),
  );
  const files = Object.entries(targets).map(([target, file]) => ({
    ...file,
    target: target as ReleaseTarget,
  }));
  return { version, releasedAt, rolloutPercent, files };
}

export async function openExecutable(bucket: R2Bucket, name: string): Promise<R2ObjectBody | null> {
  return await bucket.get(`executables/${name}`);
}
